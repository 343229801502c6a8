"""`python -m tuning.compare`: trains candidates side by side and reports on them."""
