"""Recognition of isolated words."""
