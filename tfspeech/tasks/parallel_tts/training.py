"""Training of a parametric synthesiser: its batches, and what a validation measures."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.data.batches import BatchPlan
from tfspeech.tasks.parallel_tts.data import ParametricData
from tfspeech.tasks.parallel_tts.evaluation import aligned_distortion
from tfspeech.tasks.parallel_tts.task import ParametricSpeech, ParametricSynthesis

STATISTICS_UTTERANCES = 2000


class ParametricTraining:
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        task: The model and its task.
        data: Of the run.
        batch_size: Utterances per batch.
        batches_per_step: Batches that one step takes.
        seed: Of the order of the data.

    Attributes:
        examples: Utterances of the training set.
        spoken_texts: What every validation speaks.
        spoken_frames: The frames of the recordings of that.
        speech: What the last validation has spoken; the mels in its frames are those of
            its waveforms.

    Raises:
        CorpusError: There is no training or no validation split, or phoneme times are
            missing.
    """

    def __init__(
        self,
        task: ParametricSynthesis,
        data: ParametricData,
        batch_size: int,
        batches_per_step: int,
        seed: int,
    ) -> None:
        self._task = task
        self._data = data
        self._batches_per_step = batches_per_step
        train = data.corpus.indices("train")
        self.examples = len(train)
        self._train = task.batches(data.spoken(train))
        self._plan = BatchPlan(
            data.store.lengths[train], batch_size, batches_per_step, seed
        )
        places = data.corpus.indices("validation")
        spoken = data.spoken(places)
        self._validation = task.batches(spoken).ordered(batch_size).cache()
        chosen = np.linspace(0, len(places) - 1, task.config.validation_sentences)
        self._chosen = np.unique(chosen.astype(int))
        self._spoken = spoken
        self._places = places[self._chosen]
        self.spoken_texts = data.texts(self._places)
        self.spoken_frames = [spoken.frames[row].numpy() for row in self._chosen]
        self.speech: list[ParametricSpeech] = []

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every utterance of the corpus comes at least once."""
        return self._plan.batches_per_epoch // self._batches_per_step

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Endless batches, from those of step `first_step` on."""
        return self._train.planned(self._plan, first_step * self._batches_per_step)

    def recording(self, number: int) -> np.ndarray:
        """The waveform, float32 [samples], of one of the texts that are spoken."""
        return self._data.store[self._places[number]]

    def validate(self) -> dict[str, Any]:
        """Loss, and scores of sentences that are spoken with the true durations.

        The model takes over how far its predictions are from the validation set.
        """
        task = self._task
        task.measure_deviations(self._spoken, self._validation)
        segments, lengths, durations = self._spoken.padded(self._chosen)
        spoken = task.speak_timed(segments, lengths, durations)
        self.speech = [self._with_mels(each) for each in spoken]
        count = task.features.num_mels
        found = [
            aligned_distortion(true[:, :count], ours.frames[:, :count])
            for true, ours in zip(self.spoken_frames, self.speech, strict=True)
        ]
        own = task.durations(segments, lengths, tf.ones([len(self._chosen)]))
        return {
            "loss": task.mean_loss(self._validation),
            "aligned_mcd_db": float(np.mean(found)),
            "duration_rmse_frames": task.duration_rmse_frames(segments, durations, own),
        }

    def _with_mels(self, speech: ParametricSpeech) -> ParametricSpeech:
        mels = self._task.log_mels(self._task.waveform(speech.frames))
        frames = np.concatenate([mels, speech.frames[:, mels.shape[1] :]], axis=1)
        return dataclasses.replace(speech, frames=frames)

    def set_statistics(self) -> None:
        """Has the model normalise by the training utterances."""
        rows = np.random.default_rng(0).permutation(self.examples)
        frames = self._train.with_deltas(np.sort(rows[:STATISTICS_UTTERANCES]))
        self._task.model.set_statistics(frames, self._train.log_durations)
