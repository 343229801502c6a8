"""The training of a recogniser of connected speech: its batches, its validation."""

from __future__ import annotations

from typing import Any

from tfspeech.tasks.recognition import RecognizerTraining


class SpeechTraining(RecognizerTraining):
    """The data of a training run; see `RecognizerTraining`."""

    # A mean over more would change in no digit that matters.
    statistics_utterances = 2_000

    def validate(self) -> dict[str, Any]:
        """Scores the model on the validation split, without the list of errors."""
        scores = super().validate()
        return {name: value for name, value in scores.items() if name != "errors"}
