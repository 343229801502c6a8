"""The data of a hybrid recogniser: the states of phonemes in every frame."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

from tfspeech.data.checks import Problem
from tfspeech.tasks.alignment.states import UNLABELLED, align_states
from tfspeech.tasks.speech_recognition.data import SpeechData


class HybridData(SpeechData):
    """A checked corpus whose texts are what is said; see `SpeechData`.

    Other splits may have words that the training split lacks.
    """

    evaluation_batch_size = 16

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The states of the frames of the utterances at these places.

        Returns:
            int32 [utterances, frames], `UNLABELLED` behind the last frame of each.
        """
        chosen = [self._states[index] for index in indices]
        longest = max(map(len, chosen), default=1)
        table = np.full((len(chosen), longest), UNLABELLED, np.int32)
        for row, each in enumerate(chosen):
            table[row, : len(each)] = each
        return table

    def _check_symbols(self, index: int) -> Iterator[Problem]:
        if not self.transcripts[index]:
            audio, excerpt = self._name(index)
            yield Problem("no words", audio, f"its text is {excerpt}")

    def _check_lengths(
        self, indices: np.ndarray, output_lengths: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[Problem]:
        """Finds nothing: what is too short has no labels, and is counted."""
        return iter(())

    @functools.cached_property
    def _states(self) -> list[np.ndarray]:
        """The labels of all frames, int32 [frames], of all utterances.

        Recordings and synthetic voices are aligned by models of their own; those of
        recordings are trained on the training split alone, where there is one. Those
        without a text have no labels.
        """
        found = [np.empty(0, np.int32)] * len(self.transcripts)
        rows = np.flatnonzero(self.transcripts)
        own = len(self.transcripts) - self.synthetic
        train = self.corpus.indices("train")
        for part in (rows[rows < own], rows[rows >= own]):
            if len(part):
                training = np.intersect1d(part, train)
                states = align_states(
                    *(self.store, self.transcripts, part.tolist()),
                    (training if len(training) else part).tolist(),
                    self.features.hop_length_ms,
                )
                for row, each in zip(part, states, strict=True):
                    found[row] = each
        return found
