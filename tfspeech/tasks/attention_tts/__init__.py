"""Synthesis with attention: text to frames, step by step."""
