"""The alignment of a corpus: training, TextGrids, scores and plots, in one folder."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
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
from tfspeech.data.corpora import absolute_spec, load_corpus
from tfspeech.data.espeak import PhonemeTime
from tfspeech.data.manifest import Utterance
from tfspeech.data.phoneme_times import GRID_SUFFIX, PHONES
from tfspeech.data.store import MAX_SECONDS, AudioStore, prepare
from tfspeech.data.textgrid import read_textgrid, write_textgrid
from tfspeech.errors import CorpusError, RunError, TextError
from tfspeech.files import cache_folder, load_arrays, locked, replacing, write_text
from tfspeech.tasks.alignment.aligner import (
    Aligner,
    AlignmentConfig,
    Models,
    Training,
    default_features,
)
from tfspeech.tasks.alignment.plots import plot_alignment
from tfspeech.tasks.alignment.scores import boundary_errors_ms, boundary_scores
from tfspeech.tasks.alignment.text import pronounce

RESULTS_FILE, MODELS_FILE, PLOTS = "alignment.json", "models.npz", "plots"

_VERSION = 2  # Of the cache; a change of the alignments must raise it.
_MAX_PLOTS = 10


class _Job(NamedTuple):
    """A corpus and its aligner.

    Attributes:
        utterances: All of the corpus.
        store: Their waveforms.
        grids: The paths of their TextGrids, which need not exist yet.
        aligner: The models.
        rows: The utterances that fit their texts.
        settings: JSON of all that the alignments depend on, but for the audio.
    """

    utterances: Sequence[Utterance]
    store: AudioStore
    grids: Sequence[Path]
    aligner: Aligner
    rows: Sequence[int]
    settings: str

    def seconds(self, row: int) -> float:
        """The length of an utterance."""
        return float(self.store.lengths[row] / self.store.sample_rate_hz)

    def true_times(self, row: int) -> Sequence[PhonemeTime]:
        """The true times of an utterance; empty where nobody knows them."""
        audio = self.utterances[row].audio
        return () if isinstance(audio, Path) else audio.render_with_phonemes()[2]


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
    todo = [row for row in job.rows if not job.grids[row].is_file()]
    with progress(len(todo), "Aligning", "utterance") as bar:
        for row, tiers in job.aligner.align(todo, training.models):
            job.grids[row].parent.mkdir(parents=True, exist_ok=True)
            with replacing(job.grids[row]) as partial:
                write_textgrid(partial, tiers, job.seconds(row))
            bar.update()
    aligned = time.monotonic()

    left_out = sorted({*range(len(job.grids))} - {*job.rows})
    results = {
        "utterances": len(job.grids),
        "aligned": len(job.rows),
        "left_out": [str(job.grids[row].relative_to(output)) for row in left_out],
        "audio_seconds": round(sum(map(job.seconds, job.rows)), 1),
        "log_likelihood_per_frame": list(training.log_likelihoods),
    }
    if is_new and len(todo) == len(job.rows):
        results |= {
            "training_seconds": round(trained - started, 1),
            "alignment_seconds": round(aligned - trained, 1),
            "times_real_time": round(results["audio_seconds"] / (aligned - started), 1),
        }
    results |= _score(job)
    _plot(job, output / PLOTS)
    write_text(output / RESULTS_FILE, json.dumps(results, indent=2) + "\n")
    return results


def _prepare(
    spec: str, output: Path, config: AlignmentConfig, features: FeatureConfig
) -> _Job:
    corpus = load_corpus(spec)
    names = _grid_names(corpus.utterances)
    store, report = prepare(corpus, features.sample_rate_hz, sentences=True)
    report.raise_if_fatal()
    texts = []
    with progress(len(corpus.utterances), "Reading", "text") as bar:
        for each in corpus.utterances:
            try:
                texts.append(pronounce(each.text))
            except TextError as error:
                raise CorpusError(f"{each.audio}: {error}") from error
            bar.update()
    settings = _settings(spec, corpus.utterances, config, features)
    features = dataclasses.replace(features, sample_rate_hz=store.sample_rate_hz)
    aligner = Aligner(store, texts, config, features)
    rows = [
        row
        for row, seconds in enumerate(store.measurements["seconds"])
        if seconds <= MAX_SECONDS and aligner.fits(row)
    ]
    if not rows:
        raise CorpusError(f"no utterance of {spec} is long enough for its text")
    grids = [output / name for name in names]
    return _Job(corpus.utterances, store, grids, aligner, rows, settings)


def _grid_names(utterances: Sequence[Utterance]) -> list[Path]:
    """Names TextGrids after recordings, where that is not enough with their folder.

    Raises:
        CorpusError: Names and folders of two recordings are the same.
    """
    paths = [
        each.audio if isinstance(each.audio, Path) else Path(f"{number:06}")
        for number, each in enumerate(utterances)
    ]
    stems = collections.Counter(path.stem for path in paths)
    names = [
        Path(path.parent.name if stems[path.stem] > 1 else "")
        / (path.stem + GRID_SUFFIX)
        for path in paths
    ]
    for name, count in collections.Counter(names).items():
        if count > 1:
            same = [str(p) for p, n in zip(paths, names, strict=True) if n == name]
            raise CorpusError(
                f"{count} recordings would share the TextGrid {name}; rename them or "
                f"their folders: {', '.join(same)}"
            )
    return names


def _settings(
    spec: str,
    utterances: Sequence[Utterance],
    config: AlignmentConfig,
    features: FeatureConfig,
) -> str:
    texts = "\n".join(each.text for each in utterances)
    return json.dumps(
        {
            "corpus": absolute_spec(spec),
            "texts": hashlib.sha256(texts.encode()).hexdigest(),
            **dataclasses.asdict(config),
            **dataclasses.asdict(features),
        }
    )


def _train(job: _Job, start: Training | None, path: Path) -> Training:
    """Trains from where an interrupted training was, and saves each iteration."""
    rows = job.aligner.training_rows(job.rows)
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
        taken = next((grid for grid in job.grids if grid.exists()), None)
        if taken:
            raise RunError(
                f"{taken} exists, but not {path}: it is not of this command; choose "
                "another --output"
            )
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


def _score(job: _Job) -> dict[str, Any]:
    """Returns scores of the `boundaries` of what eSpeak NG speaks, if anything."""
    errors_ms = []
    with progress(len(job.rows), "Comparing", "utterance") as bar:
        for row in job.rows:
            true_times = job.true_times(row)
            if true_times:
                phones = read_textgrid(job.grids[row])[PHONES]
                errors_ms.append(boundary_errors_ms(phones, true_times))
            bar.update()
    return {"boundaries": boundary_scores(errors_ms)} if errors_ms else {}


def _plot(job: _Job, folder: Path) -> None:
    """Plots ten sentences from all over the corpus."""
    folder.mkdir(exist_ok=True)
    positions = np.linspace(0, len(job.rows) - 1, _MAX_PLOTS).round().astype(int)
    for position in sorted(set(positions.tolist())):
        row = job.rows[position]
        grid = job.grids[row]
        plot_alignment(
            job.store[row],
            job.store.sample_rate_hz,
            read_textgrid(grid),
            folder / f"{grid.stem}.png",
            job.true_times(row),
        )
