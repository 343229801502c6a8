"""What `make bench` measures, as ratios inside one run."""

import tfspeech  # noqa: F401 -- first: it silences TensorFlow's start-up notices.
