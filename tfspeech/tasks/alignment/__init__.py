"""Forced alignment: when each phoneme of known texts is spoken."""
