"""The workspace as a picture: what is drawn, where it stands, and how it is written."""
