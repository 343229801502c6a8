"""The training of a recogniser of words: its batches and its validation."""

from __future__ import annotations

from tfspeech.audio.augment import AugmentConfig
from tfspeech.errors import CorpusError
from tfspeech.tasks.recognition import RecognizerTraining
from tfspeech.tasks.word_recognition.data import RecognitionData
from tfspeech.tasks.word_recognition.task import WordRecognition
from tfspeech.training.config import TrainingConfig


class RecognitionTraining(RecognizerTraining):
    """The data of a training run; see `RecognizerTraining`.

    Raises:
        CorpusError: There is only one label.
    """

    # A mean over more would change in no digit that matters.
    statistics_utterances = 20_000

    def __init__(
        self,
        task: WordRecognition,
        data: RecognitionData,
        augment: AugmentConfig,
        settings: TrainingConfig,
    ) -> None:
        if len(data.labels) < 2:
            raise CorpusError(
                f"{data.corpus.name} has nothing to tell apart: all its training "
                f"utterances have the label {data.labels[0]!r}"
            )
        super().__init__(task, data, augment, settings)
