"""The alignment of a corpus by models that are trained on it, in one folder."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from models.hmm import Hmm
from tfspeech.audio.features import FeatureConfig
from tfspeech.console import progress, say
from tfspeech.data.cache import open_or_make
from tfspeech.data.corpora import load_corpus
from tfspeech.data.manifest import Utterance
from tfspeech.data.store import prepare
from tfspeech.errors import RunError
from tfspeech.files import cache_folder, load_arrays, locked, replacing
from tfspeech.tasks.alignment.aligner import (
    Aligner,
    AlignmentConfig,
    Models,
    Training,
    default_features,
)
from tfspeech.tasks.alignment.grids import (
    RESULTS_FILE,
    Grids,
    grid_names,
    pronounce_all,
    settings_text,
)

MODELS_FILE = "models.npz"

_VERSION = 2  # Of the cache; a change of the alignments must raise it.


class _Job(NamedTuple):
    """A corpus and its aligner.

    Attributes:
        grids: Its TextGrids, which need not exist yet.
        aligner: The models.
        settings: JSON of all that the alignments depend on, but for the audio.
    """

    grids: Grids
    aligner: Aligner
    settings: str


def align_corpus(
    corpus: str,
    output: Path,
    config: AlignmentConfig | None = None,
    features: FeatureConfig | None = None,
) -> dict[str, Any]:
    """Aligns a corpus, and writes a TextGrid for each of its utterances.

    A call continues what an interrupted one has begun, from the last iteration of its
    training and the last utterance that it aligned.

    Args:
        corpus: Its spec.
        output: The folder of the TextGrids, `alignment.json` and plots.
        config: The models.
        features: What they model; without a sample rate, at that of the corpus.

    Returns:
        The contents of `alignment.json`: the numbers of `utterances` and those
        `aligned`, the TextGrids that lack as `left_out`, `audio_seconds`,
        `log_likelihood_per_frame` by iteration; `training_seconds`,
        `alignment_seconds` and `times_real_time` of both together, where this call did
        all; `boundaries` (see `boundary_scores`) where the true times are known.

    Raises:
        CorpusError: The corpus cannot be read or used.
        RunError: The folder holds other alignments, or is in use.
    """
    features = features or default_features()
    with locked(output):
        job = _prepare(corpus, output, config or AlignmentConfig(), features)
        return _align(job, output)


def cached_alignments(corpus: str, fingerprint: str) -> Path:
    """Aligns a corpus with the default models, or finds its TextGrids in the cache.

    Args:
        corpus: Its spec.
        fingerprint: Of the waveforms, `AudioStore.fingerprint`.

    Returns:
        The folder of the TextGrids.

    Raises:
        CorpusError: The corpus or the cache cannot be used.
    """
    config, features = AlignmentConfig(), default_features()
    settings = _settings(corpus, load_corpus(corpus).utterances, config, features)
    key = hashlib.sha256(f"{_VERSION} {fingerprint} {settings}".encode()).hexdigest()
    folder = cache_folder() / f"alignments-{key[:32]}"

    def check(folder: Path) -> None:
        (folder / RESULTS_FILE).read_bytes()  # It is written last.

    def make(folder: Path) -> bool:
        say(f"no phoneme times beside the recordings of {corpus}: aligning it")
        align_corpus(corpus, folder, config, features)
        return True

    open_or_make(folder, check, make)
    return folder


def _align(job: _Job, output: Path) -> dict[str, Any]:
    """Does what `align_corpus` does, in a folder that nobody else writes to."""
    path = output / MODELS_FILE
    training = _load_training(path, job)
    is_new = training is None

    started = time.monotonic()
    training = _train(job, training, path)
    trained = time.monotonic()
    todo = job.grids.missing()
    job.grids.write(job.aligner.align(todo, training.models), len(todo))
    aligned = time.monotonic()

    results = job.grids.count() | {
        "log_likelihood_per_frame": list(training.log_likelihoods),
    }
    if is_new and len(todo) == results["aligned"]:
        results |= {
            "training_seconds": round(trained - started, 1),
            "alignment_seconds": round(aligned - trained, 1),
            "times_real_time": round(results["audio_seconds"] / (aligned - started), 1),
        }
    return job.grids.finish(results)


def _prepare(
    spec: str, output: Path, config: AlignmentConfig, features: FeatureConfig
) -> _Job:
    corpus = load_corpus(spec)
    names = grid_names(corpus.utterances)
    store, report = prepare(corpus, features.sample_rate_hz, sentences=True)
    report.raise_if_fatal()
    texts = pronounce_all(corpus.utterances)
    settings = _settings(spec, corpus.utterances, config, features)
    features = dataclasses.replace(features, sample_rate_hz=store.sample_rate_hz)
    aligner = Aligner(store, texts, config, features)
    grids = Grids(corpus, names, store, output, aligner.fits)
    return _Job(grids, aligner, settings)


def _settings(
    spec: str,
    utterances: Sequence[Utterance],
    config: AlignmentConfig,
    features: FeatureConfig,
) -> str:
    sections = dataclasses.asdict(config) | dataclasses.asdict(features)
    return settings_text(spec, utterances, **sections)


def _train(job: _Job, start: Training | None, path: Path) -> Training:
    """Trains from where an interrupted training was, and saves each iteration."""
    rows = job.aligner.training_rows(job.grids.rows)
    training = start or job.aligner.start(rows)
    done = len(training.log_likelihoods)
    total = job.aligner.config.total_iterations
    with progress(total, "Training", initial=done) as bar:
        for latest in job.aligner.train(rows, training):
            training = latest
            _save_training(path, job.settings, training)
            bar.update()
    return training


def _save_training(path: Path, settings: str, training: Training) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    models = training.models
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            settings=settings,
            log_likelihoods=training.log_likelihoods,
            mean=models.mean,
            std=models.std,
            **models.hmm._asdict(),
        )


def _load_training(path: Path, job: _Job) -> Training | None:
    """Returns the state of an interrupted training, None where there is none.

    Raises:
        RunError: The folder holds other alignments.
    """
    if not path.is_file():
        job.grids.check_new(path)
        return None
    try:
        arrays = load_arrays(path)
        saved = str(arrays["settings"])
        hmm = Hmm(*(tf.constant(arrays[name]) for name in Hmm._fields))
        moments = (tf.constant(arrays[name]) for name in ("mean", "std"))
        training = Training(
            Models(hmm, *moments), tuple(arrays["log_likelihoods"].tolist())
        )
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path} is damaged: {error}; delete its folder") from error
    if saved != job.settings:
        raise RunError(
            f"{path.parent} holds alignments of another corpus or with other settings; "
            "choose another --output, or delete it"
        )
    return training
