"""`python -m tuning.compare`: candidates trained side by side, and a report."""
