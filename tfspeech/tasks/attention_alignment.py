"""Forced alignment by the attention of a synthesiser that reads phonemes.

Teacher-forced, its decoder attends to the phoneme that a frame is of. The durations of
FastSpeech came from there (Ren et al. 2019, arXiv 1905.09263); the monotonic path with
the largest product of weights is found as in Glow-TTS (Kim et al. 2020, arXiv
2005.11129, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.trellis import LOG_ZERO, Transitions, best_path
from tfspeech.data.textgrid import Interval
from tfspeech.errors import RunError, SpecError
from tfspeech.files import locked, read_file, write_text
from tfspeech.tasks.alignment.aligner import tiers
from tfspeech.tasks.alignment.grids import (
    Grids,
    grid_names,
    pronounce_all,
    settings_text,
)
from tfspeech.tasks.alignment.text import PronouncedText
from tfspeech.tasks.attention_tts.data import sentence_loader
from tfspeech.tasks.attention_tts.task import AttentionSynthesis
from tfspeech.tasks.pinned import pin_run
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.speech.data import EVALUATION_BATCH_SIZE, SentenceData
from tfspeech.text.front_end import pad_symbols
from tfspeech.text.phonemes import PAUSE, PHONEMES

SETTINGS_FILE = "attention.json"

_LEAST_WEIGHT = 1e-4
# By so much attention is ahead, as a frame holds what comes within half its window;
# chosen on the validation split of `reader`.
_LEAD_FRAMES = 1
_PAUSE_PROBABILITY = 0.2


def align_by_attention(corpus: str, output: Path, run_dir: Path) -> dict[str, Any]:
    """Aligns a corpus, and writes a TextGrid for each of its utterances.

    A call continues what an interrupted one has begun.

    Args:
        corpus: Its spec.
        output: The folder of the TextGrids, `alignment.json` and plots.
        run_dir: Of a synthesiser with attention, trained on phonemes of that voice.

    Returns:
        The contents of `alignment.json`; see `align_corpus`.

    Raises:
        CorpusError: The corpus cannot be read or used.
        RunError: There is no trained model; or the folder holds other alignments, or
            is in use.
        SpecError: The model has no attention, or reads no phonemes.
    """
    config, task = load_task(run_dir)
    if not isinstance(task, AttentionSynthesis):
        raise SpecError(
            f"{run_dir} holds a run of {config.model}, which has no attention to align "
            "by: train attention_tts --symbols phonemes"
        )
    if task.front_end.config.symbols != "phonemes":
        raise SpecError(
            f"the run in {run_dir} reads characters, whose times are none of phonemes: "
            "train it with --symbols phonemes"
        )
    with locked(output):
        data = config.read_data(config.data.of_corpus(corpus))
        data.report.raise_if_fatal()
        utterances = data.corpus.utterances
        texts = pronounce_all(utterances)
        aligner = AttentionAligner(task, data, texts)
        names = grid_names(utterances)
        grids = Grids(data.corpus, names, data.store, output, aligner.fits)
        attention = pin_run(str(run_dir), "synthesiser")
        settings = settings_text(corpus, utterances, attention=attention)
        _check_settings(output / SETTINGS_FILE, settings, grids)
        todo = grids.missing()
        grids.write(aligner.align(todo), len(todo))
        return grids.finish(grids.count())


def _check_settings(path: Path, settings: str, grids: Grids) -> None:
    """Keeps the settings of a folder, or checks that they are those in it.

    Raises:
        RunError: It holds other alignments.
    """
    if not path.is_file():
        grids.check_new(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, settings)
    elif read_file(path).decode("utf-8", "replace") != settings:
        raise RunError(
            f"{path.parent} holds alignments of another corpus or by another model; "
            "choose another --output, or delete it"
        )


class AttentionAligner:
    """Finds the times of phonemes by where a decoder attends.

    The silence before the first phoneme is a part of it, as no symbol stands for it.

    Args of the constructor:
        task: Of a model that reads phonemes.
        data: The corpus.
        texts: Its pronounced texts.
    """

    def __init__(
        self,
        task: AttentionSynthesis,
        data: SentenceData,
        texts: Sequence[PronouncedText],
    ) -> None:
        self._texts = texts
        self._data = data
        self._factor = task.reduction_factor
        indices = np.arange(len(texts))
        self._load = sentence_loader(data, indices, self._factor)
        symbols = task.front_end.symbols
        self._is_phoneme = np.array([name in PHONEMES for name in symbols])

        @tf.function(reduce_retracing=True)
        def attend(batch: dict[str, tf.Tensor]) -> tf.Tensor:
            return task.model(batch, training=False)["alignment"]

        self._attend = attend

    def fits(self, row: int) -> bool:
        """Whether an utterance has at least one frame for each phoneme of its text."""
        phonemes = sum(name != PAUSE for name in self._texts[row].names)
        return int(self._data.frame_lengths(row)) >= max(2, phonemes)

    def align(
        self, rows: Sequence[int]
    ) -> Iterator[tuple[int, dict[str, list[Interval]]]]:
        """Finds the words and phonemes of utterances, the shortest first.

        Args:
            rows: The utterances; each must fit its text.

        Yields:
            The utterance and its intervals; see `tiers`.
        """
        features = self._data.features
        hop_s = features.hop_length / features.sample_rate_hz
        ordered = sorted(rows, key=self._data.frame_lengths)
        for start in range(0, len(ordered), EVALUATION_BATCH_SIZE):
            chosen = ordered[start : start + EVALUATION_BATCH_SIZE]
            for row, places in zip(chosen, self._places(chosen), strict=True):
                seconds = float(self._data.store.lengths[row] / features.sample_rate_hz)
                yield row, tiers(self._texts[row], places, hop_s, seconds)

    def _places(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The places in their texts of the frames of utterances, int [frames] each."""
        batch = self._load(tf.constant(rows, tf.int64))
        weights = self._attend(batch).numpy()
        counts = self._data.frame_lengths(np.array(rows)).astype("i4")
        # The first place in a text is the silence before it.
        names = [self._texts[row].names[1:] for row in rows]
        shape = counts.max(), len(rows), max(map(len, names))
        emissions = np.full(shape, np.log(_LEAST_WEIGHT), np.float32)
        for number, (count, own) in enumerate(zip(counts, names, strict=True)):
            length = int(batch["symbol_lengths"][number])
            owners = self._owners(batch["symbols"][number, :length].numpy(), own)
            steps = -(-count // self._factor)
            by_place = weights[number, :steps, :length] @ np.eye(shape[2])[owners]
            by_frame = spread_steps(by_place, self._factor, count, _LEAD_FRAMES)
            logs = np.log(np.maximum(by_frame, _LEAST_WEIGHT))
            emissions[:count, number] = logs
        paths, _ = best_path(
            tf.constant(emissions), tf.constant(counts), chain_of_pauses(names)
        )
        pairs = zip(paths.numpy(), counts, strict=True)
        return [1 + path[:count] for path, count in pairs]

    def _owners(self, symbols: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """The place among names that each symbol stands for, int [symbols].

        Marks, spaces and the end stand for the pause after the phoneme before them.
        """
        places = np.flatnonzero([name != PAUSE for name in names])
        is_phoneme = self._is_phoneme[symbols]
        before = np.maximum(np.cumsum(is_phoneme) - 1, 0)
        return places[before] + (~is_phoneme & (np.cumsum(is_phoneme) > 0))


def spread_steps(
    weights: np.ndarray, factor: int, frames: int, lead: int = 0
) -> np.ndarray:
    """Brings weights of decoder steps to frames, by linear interpolation.

    Args:
        weights: [steps, places].
        factor: Frames of a step.
        frames: How many frames.
        lead: By so many frames the weights come too early.

    Returns:
        [frames, places].
    """
    middle = (np.arange(frames) - lead - (factor - 1) / 2) / factor
    middle = np.clip(middle, 0, len(weights) - 1)
    before = np.floor(middle).astype(int)
    after = np.minimum(before + 1, len(weights) - 1)
    share = (middle - before)[:, np.newaxis]
    return (1 - share) * weights[before] + share * weights[after]


def chain_of_pauses(names: Sequence[Sequence[str]]) -> Transitions:
    """Transitions from phoneme to phoneme, in which pauses may be left out.

    Args:
        names: Of the phonemes and pauses of each utterance; no pause is the first, nor
            after another, and one is the last.
    """
    is_pause, counts = pad_symbols([np.array([n == PAUSE for n in e]) for e in names])
    place = np.arange(is_pause.shape[1])
    last = counts[:, np.newaxis] - 1
    valid = (place > 0) & (place <= last)
    after_pause = valid & (np.roll(is_pause, 1, axis=1) > 0)
    present, absent = np.log(_PAUSE_PROBABILITY), np.log(1 - _PAUSE_PROBABILITY)

    def log(*cases: tuple[np.ndarray, np.ndarray | float]) -> tf.Tensor:
        result = np.full(is_pause.shape, LOG_ZERO)
        for condition, value in cases:
            result = np.where(condition, value, result)
        return tf.constant(result, tf.float32)

    return Transitions(
        skip_length=2,
        initial=log((place == 0, 0.0)),
        self_loop=tf.zeros(is_pause.shape),
        next=log((valid, np.where(is_pause, present, 0.0))),
        skip=log((after_pause, absent)),
        final=log((place == last, 0.0), (place == last - 1, absent)),
    )
