"""What `make bench` measures, as ratios inside one run."""
