"""Duration-based synthesis: all frames of an utterance at once."""
