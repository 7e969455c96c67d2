"""From an event to the draft of a recipe."""
