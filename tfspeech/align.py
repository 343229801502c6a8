"""`python -m tfspeech.align`: finds when each phoneme of a corpus is spoken."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from models.hmm import Hmm
from tfspeech.audio.features import FeatureConfig
from tfspeech.console import (
    Parser,
    add_config,
    pick_config,
    print_json,
    progress,
    run_command,
    say,
)
from tfspeech.data.corpora import LAYOUTS, absolute_spec, load_corpus
from tfspeech.data.espeak import PhonemeTime
from tfspeech.data.manifest import Utterance
from tfspeech.data.phoneme_times import GRID_SUFFIX, PHONES
from tfspeech.data.store import MAX_SECONDS, AudioStore, prepare
from tfspeech.data.textgrid import Interval, read_textgrid, write_textgrid
from tfspeech.errors import CorpusError, RunError, TextError
from tfspeech.tasks.alignment.aligner import (
    Aligner,
    AlignmentConfig,
    Models,
    Training,
    default_features,
    read_text,
)
from tfspeech.tasks.alignment.plots import plot_alignment
from tfspeech.tasks.alignment.scores import (
    CLOSE_MS,
    boundary_errors_ms,
    boundary_scores,
)

RESULTS_FILE, MODELS_FILE, PLOTS = "alignment.json", "models.npz", "plots"

_PLOTTED = 10
_NAMED = 5


class _Work(NamedTuple):
    """What is to be aligned.

    Attributes:
        utterances: All of the corpus.
        store: Their waveforms.
        grids: Their TextGrids, which need not be there yet.
        aligner: The models.
        rows: The utterances that fit their texts.
    """

    utterances: Sequence[Utterance]
    store: AudioStore
    grids: Sequence[Path]
    aligner: Aligner
    rows: Sequence[int]

    def seconds(self, row: int) -> float:
        """How long an utterance is."""
        return float(self.store.lengths[row] / self.store.sample_rate_hz)

    def true_times(self, row: int) -> Sequence[PhonemeTime]:
        """The true times of an utterance; empty where nobody knows them."""
        audio = self.utterances[row].audio
        return () if isinstance(audio, Path) else audio.render_with_phonemes()[2]


def run(
    corpus: str,
    output: Path,
    config: AlignmentConfig | None = None,
    features: FeatureConfig | None = None,
) -> dict[str, Any]:
    """Aligns a corpus, and writes a TextGrid for each of its utterances.

    What an interrupted call has done is not done again.

    Args:
        corpus: Its spec.
        output: The folder of the TextGrids, `alignment.json` and plots.
        config: The models.
        features: What they model; without a sample rate, at that of the corpus.

    Returns:
        What is in `alignment.json`: the numbers of `utterances` and those `aligned`,
        the TextGrids that lack as `left_out`, `audio_seconds`,
        `log_likelihood_per_frame` by iteration; `training_seconds`,
        `alignment_seconds` and `times_real_time` of both together, where this call did
        all; `boundaries` (see `boundary_scores`) where the true times are known.

    Raises:
        CorpusError: The corpus cannot be read or used.
        RunError: The folder holds other alignments.
    """
    config, features = config or AlignmentConfig(), features or default_features()
    work = _read(corpus, output, config, features)
    path = output / MODELS_FILE
    settings = _settings(corpus, work, config, features)
    training = _load_training(path, settings, work.grids)
    is_new = training is None

    started = time.monotonic()
    training = _train(work, training, path, settings)
    trained = time.monotonic()
    todo = [row for row in work.rows if not work.grids[row].is_file()]
    with progress(len(todo), "Aligning", "utterance") as bar:
        for row, tiers in work.aligner.align(todo, training.models):
            _write_grid(work.grids[row], tiers, work.seconds(row))
            bar.update()
    aligned = time.monotonic()

    results = _count(work, output) | {
        "log_likelihood_per_frame": list(training.log_likelihoods)
    }
    if is_new and len(todo) == len(work.rows):
        results |= {
            "training_seconds": round(trained - started, 1),
            "alignment_seconds": round(aligned - trained, 1),
            "times_real_time": round(results["audio_seconds"] / (aligned - started), 1),
        }
    results |= _compare(work)
    _plot(work, output / PLOTS)
    (output / RESULTS_FILE).write_text(json.dumps(results, indent=2) + "\n")
    return results


def _count(work: _Work, output: Path) -> dict[str, Any]:
    """What of a corpus is aligned."""
    left_out = sorted({*range(len(work.grids))} - {*work.rows})
    return {
        "utterances": len(work.grids),
        "aligned": len(work.rows),
        "left_out": [str(work.grids[row].relative_to(output)) for row in left_out],
        "audio_seconds": round(sum(map(work.seconds, work.rows)), 1),
    }


def describe(results: Mapping[str, Any], output: Path) -> str:
    """Returns lines that say what `run` has returned."""
    minutes = results["audio_seconds"] / 60
    lines = [
        f"{results['aligned']} of {results['utterances']} utterances are aligned, "
        f"{minutes:.1f} minutes"
    ]
    if "times_real_time" in results:
        lines.append(
            f"{results['times_real_time']:g} times real time: "
            f"{results['training_seconds']:g} s of training, "
            f"{results['alignment_seconds']:g} s of alignment"
        )
    if left_out := results["left_out"]:
        named = ", ".join(left_out[:_NAMED])
        more = f" and {len(left_out) - _NAMED} more" * (len(left_out) > _NAMED)
        lines.append(
            f"left out, as longer than {MAX_SECONDS:g} s or too short for the text: "
            f"{named}{more}"
        )
    if "boundaries" in results:
        scores = results["boundaries"]
        lines.append(
            f"{scores[f'within_{CLOSE_MS}_ms']:.1%} of {scores['count']} boundaries "
            f"are within {CLOSE_MS} ms of the true ones; median error "
            f"{scores['median_ms']:.1f} ms, signed {scores['bias_ms']:+.1f} ms"
        )
    lines.append(f"look at {output / PLOTS}; train with --alignments {output}")
    return "\n".join(lines)


def _read(
    spec: str, output: Path, config: AlignmentConfig, features: FeatureConfig
) -> _Work:
    corpus = load_corpus(spec)
    store, report = prepare(corpus, features.sample_rate_hz, sentences=True)
    report.raise_if_fatal()
    features = dataclasses.replace(features, sample_rate_hz=store.sample_rate_hz)
    texts = []
    with progress(len(corpus.utterances), "Reading", "text") as bar:
        for each in corpus.utterances:
            try:
                texts.append(read_text(each.text))
            except TextError as error:
                raise CorpusError(f"{each.audio}: {error}") from error
            bar.update()
    aligner = Aligner(store, texts, config, features)
    rows = [
        row
        for row, seconds in enumerate(store.measurements["seconds"])
        if seconds <= MAX_SECONDS and aligner.fits(row)
    ]
    if not rows:
        raise CorpusError(f"no utterance of {spec} is long enough for its text")
    grids = [output / name for name in _grid_names(corpus.utterances)]
    return _Work(corpus.utterances, store, grids, aligner, rows)


def _grid_names(utterances: Sequence[Utterance]) -> list[Path]:
    """Names TextGrids after recordings, where that is not enough with their folder."""
    paths = [
        each.audio if isinstance(each.audio, Path) else Path(f"{number:06}")
        for number, each in enumerate(utterances)
    ]
    stems = collections.Counter(path.stem for path in paths)
    return [
        Path(path.parent.name if stems[path.stem] > 1 else "")
        / (path.stem + GRID_SUFFIX)
        for path in paths
    ]


def _settings(
    spec: str, work: _Work, config: AlignmentConfig, features: FeatureConfig
) -> str:
    """Returns JSON of all that the alignments depend on, but for the audio."""
    texts = "\n".join(each.text for each in work.utterances)
    return json.dumps(
        {
            "corpus": absolute_spec(spec),
            "texts": hashlib.sha256(texts.encode()).hexdigest(),
            **dataclasses.asdict(config),
            **dataclasses.asdict(features),
        }
    )


def _train(work: _Work, start: Training | None, path: Path, settings: str) -> Training:
    """Trains from where an interrupted training was, and keeps each iteration."""
    aligner = work.aligner
    rows = aligner.training_rows(work.rows)
    training = start or aligner.start(rows)
    done = len(training.log_likelihoods)
    with progress(aligner.config.total_iterations, "Training", initial=done) as bar:
        for latest in aligner.train(rows, training):
            training = latest
            _save_training(path, settings, training)
            bar.update()
    return training


def _save_training(path: Path, settings: str, training: Training) -> None:
    """Writes the models, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    models = training.models
    np.savez(
        partial,
        settings=settings,
        log_likelihoods=training.log_likelihoods,
        mean=models.mean,
        std=models.std,
        **models.hmm._asdict(),
    )
    os.replace(partial, path)


def _load_training(path: Path, settings: str, grids: Sequence[Path]) -> Training | None:
    """Returns where an interrupted training was, None where there is none.

    Raises:
        RunError: The folder holds other alignments.
    """
    if not path.is_file():
        taken = next((grid for grid in grids if grid.exists()), None)
        if taken:
            raise RunError(
                f"{taken} exists, but not {path}: it is not of this command; choose "
                "another --output"
            )
        return None
    try:
        with np.load(path) as arrays:
            saved = str(arrays["settings"])
            hmm = Hmm(*(tf.constant(arrays[name]) for name in Hmm._fields))
            moments = (tf.constant(arrays[name]) for name in ("mean", "std"))
            training = Training(
                Models(hmm, *moments), tuple(arrays["log_likelihoods"].tolist())
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged: {error}; delete its folder") from error
    if saved != settings:
        raise RunError(
            f"{path.parent} holds alignments of another corpus or with other settings; "
            "choose another --output, or delete it"
        )
    return training


def _write_grid(
    path: Path, tiers: Mapping[str, Sequence[Interval]], length_s: float
) -> None:
    """Writes a TextGrid, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    write_textgrid(partial, tiers, length_s)
    os.replace(partial, path)


def _compare(work: _Work) -> dict[str, Any]:
    """Returns scores of the `boundaries` of what eSpeak NG speaks, if anything."""
    errors_ms = []
    with progress(len(work.rows), "Comparing", "utterance") as bar:
        for row in work.rows:
            true_times = work.true_times(row)
            if true_times:
                phones = read_textgrid(work.grids[row])[PHONES]
                errors_ms.append(boundary_errors_ms(phones, true_times))
            bar.update()
    return {"boundaries": boundary_scores(errors_ms)} if errors_ms else {}


def _plot(work: _Work, folder: Path) -> None:
    """Plots ten sentences from all over the corpus."""
    folder.mkdir(exist_ok=True)
    places = np.linspace(0, len(work.rows) - 1, _PLOTTED).round().astype(int)
    for place in sorted(set(places.tolist())):
        row = work.rows[place]
        grid = work.grids[row]
        plot_alignment(
            work.store[row],
            work.store.sample_rate_hz,
            read_textgrid(grid),
            folder / f"{grid.stem}.png",
            work.true_times(row),
        )


def main(arguments: Sequence[str]) -> None:
    """Aligns a corpus, and prints what was found."""
    parser = Parser(
        "tfspeech.align",
        "Finds when each phoneme of a corpus is spoken, by hidden Markov models "
        "trained on the corpus itself.",
    )
    parser.add_argument(
        "corpus", metavar="CORPUS[:PATH]", help="one of " + ", ".join(LAYOUTS)
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the TextGrids go; what is there already is not done again",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the results as one JSON object"
    )
    add_config(parser, AlignmentConfig())
    add_config(parser, default_features())
    given = parser.parse_args(arguments)
    config = pick_config(given, AlignmentConfig())
    features = pick_config(given, default_features())
    try:
        results = run(given.corpus, given.output, config, features)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; the same command goes on where it was"
        ) from None
    say(describe(results, given.output))
    if "json" in given:
        print_json(results)


if __name__ == "__main__":
    run_command(main)
