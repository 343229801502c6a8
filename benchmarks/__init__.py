"""Benchmarks of `make bench`: ratios inside one run."""

import tfspeech  # noqa: F401 -- first: it silences TensorFlow's start-up notices.
