"""Searches and comparisons over the training loop of `tfspeech`."""

# Before TensorFlow: it decides whether TensorFlow prints its start-up notices.
import tfspeech  # noqa: F401
