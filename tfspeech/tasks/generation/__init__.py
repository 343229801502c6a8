"""Unconditional generation of isolated words."""
