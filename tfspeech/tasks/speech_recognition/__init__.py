"""Recognition of connected speech: audio in, text out."""
