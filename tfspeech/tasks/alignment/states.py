"""The states of phonemes in every frame of a corpus, kept in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfspeech.audio.features import FeatureConfig
from tfspeech.console import progress, say
from tfspeech.data.cache import open_or_make
from tfspeech.data.store import AudioStore
from tfspeech.errors import CorpusError, TextError
from tfspeech.files import cache_folder, load_arrays
from tfspeech.tasks.alignment.aligner import (
    Aligner,
    AlignmentConfig,
    Models,
    default_features,
)
from tfspeech.tasks.alignment.text import PAUSE_UNIT, UNITS, PronouncedText, pronounce

STATES_PER_UNIT = AlignmentConfig().phoneme_states
NUM_STATES = len(UNITS) * STATES_PER_UNIT
PAUSE_STATES = tuple(
    range(PAUSE_UNIT * STATES_PER_UNIT, (PAUSE_UNIT + 1) * STATES_PER_UNIT)
)
UNLABELLED = -1

_VERSION = 2  # Of the cache; a change of the labels must raise it.
_FILE = "states.npz"


def align_states(
    store: AudioStore,
    texts: Sequence[str],
    rows: Sequence[int],
    training: Sequence[int],
    hop_length_ms: float,
) -> list[np.ndarray]:
    """Labels frames by forced alignment with the default models, or finds the labels.

    Args:
        store: The waveforms.
        texts: What is said in all of them.
        rows: The utterances that are labelled.
        training: Those on which the models are trained.
        hop_length_ms: From one frame to the next.

    Returns:
        The state of each frame of each of the rows, int32 [frames], below `NUM_STATES`;
        see `Aligner.states`. It is empty where there are fewer frames than states.

    Raises:
        CorpusError: A text cannot be said, or the cache cannot be written.
    """
    config = AlignmentConfig()
    features = dataclasses.replace(
        default_features(),
        hop_length_ms=hop_length_ms,
        sample_rate_hz=store.sample_rate_hz,
    )
    key = json.dumps(
        [
            *(_VERSION, dataclasses.asdict(config), dataclasses.asdict(features)),
            [np.asarray(each).tolist() for each in (rows, training)],
            [texts[row] for row in rows],
            store.measurements["checksum"][rows].tolist(),
        ]
    )
    key = hashlib.sha256(key.encode()).hexdigest()

    def read(folder: Path) -> list[np.ndarray]:
        arrays = load_arrays(folder / _FILE)
        return np.split(arrays["states"], np.cumsum(arrays["lengths"])[:-1])

    def make(folder: Path) -> bool:
        say(f"aligning {len(rows):,} utterances with their texts")
        aligner = Aligner(store, _pronounced(texts, rows), config, features)
        found = _labels(aligner, rows, training)
        lengths = [len(each) for each in found]
        np.savez(folder / _FILE, states=np.concatenate(found), lengths=lengths)
        return True

    return open_or_make(cache_folder() / f"states-{key[:32]}", read, make)


def _pronounced(texts: Sequence[str], rows: Sequence[int]) -> dict[int, PronouncedText]:
    found = {}
    with progress(len(rows), "Reading", "text") as bar:
        for row in rows:
            try:
                found[row] = pronounce(texts[row])
            except TextError as error:
                raise CorpusError(str(error)) from error
            bar.update()
    return found


def train_models(
    store: AudioStore,
    texts: Sequence[str],
    rows: Sequence[int],
    config: AlignmentConfig,
    features: FeatureConfig,
) -> Models:
    """Trains hidden Markov models of the phonemes by Baum-Welch.

    Args:
        store: The waveforms.
        texts: What is said in all of them.
        rows: The utterances to train on.
        config: Of the models.
        features: That they model, at the rate of the store.

    Raises:
        CorpusError: A text cannot be said.
    """
    aligner = Aligner(store, _pronounced(texts, rows), config, features)
    return _trained(aligner, rows)


def _labels(
    aligner: Aligner, rows: Sequence[int], training: Sequence[int]
) -> list[np.ndarray]:
    models = _trained(aligner, training)
    fitting = [row for row in rows if aligner.fits(row)]
    found = dict.fromkeys(rows, np.zeros(0, np.int32))
    with progress(len(fitting), "Aligning", "utterance") as bar:
        for row, states in aligner.states(fitting, models):
            found[row] = states.astype(np.int32)
            bar.update()
    return [found[row] for row in rows]


def _trained(aligner: Aligner, rows: Sequence[int]) -> Models:
    chosen = aligner.training_rows([row for row in rows if aligner.fits(row)])
    state = aligner.start(chosen)
    with progress(aligner.config.total_iterations, "Training by Baum-Welch") as bar:
        for latest in aligner.train(chosen, state):
            state = latest
            bar.update()
    return state.models
