"""The web process: it catches, and tells how things are."""
