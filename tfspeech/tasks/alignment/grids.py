"""The TextGrids of an aligned corpus: files, scores and plots, in one folder."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfspeech.console import progress
from tfspeech.data.corpora import absolute_spec
from tfspeech.data.espeak import PhonemeTime
from tfspeech.data.manifest import Corpus, Utterance
from tfspeech.data.phoneme_times import GRID_SUFFIX, PHONES
from tfspeech.data.store import MAX_SECONDS, AudioStore
from tfspeech.data.textgrid import Interval, read_textgrid, write_textgrid
from tfspeech.errors import CorpusError, RunError, TextError
from tfspeech.files import replacing, write_text
from tfspeech.tasks.alignment.plots import plot_alignment
from tfspeech.tasks.alignment.scores import boundary_errors_ms, boundary_scores
from tfspeech.tasks.alignment.text import PronouncedText, pronounce

RESULTS_FILE, PLOTS = "alignment.json", "plots"

_MAX_PLOTS = 10


class Grids:
    """The TextGrids of a corpus, which need not exist yet.

    Args of the constructor:
        corpus: The corpus.
        names: Of the TextGrids; see `grid_names`.
        store: The waveforms.
        output: The folder.
        fits: Whether an utterance is long enough for its text.

    Attributes:
        rows: The utterances that fit their texts and are not too long.

    Raises:
        CorpusError: There are none.
    """

    def __init__(
        self,
        corpus: Corpus,
        names: Sequence[Path],
        store: AudioStore,
        output: Path,
        fits: Callable[[int], bool],
    ) -> None:
        self._utterances = corpus.utterances
        self._names = names
        self._store = store
        self._output = output
        self.rows = [
            row
            for row, seconds in enumerate(store.measurements["seconds"])
            if seconds <= MAX_SECONDS and fits(row)
        ]
        if not self.rows:
            raise CorpusError(
                f"no utterance of {corpus.name} is long enough for its text"
            )

    def missing(self) -> list[int]:
        """Those of `rows` that have no TextGrid yet."""
        return [row for row in self.rows if not self._path(row).is_file()]

    def check_new(self, settings: Path) -> None:
        """Checks that no TextGrid is there, as long as a file of settings is not.

        Raises:
            RunError: There is one.
        """
        paths = map(self._path, range(len(self._names)))
        taken = next((path for path in paths if path.exists()), None)
        if taken:
            raise RunError(
                f"{taken} exists, but not {settings}: it is not of this command; "
                "choose another --output"
            )

    def write(
        self, found: Iterable[tuple[int, Mapping[str, Sequence[Interval]]]], count: int
    ) -> None:
        """Writes TextGrids.

        Args:
            found: Utterances, and the intervals of their tiers.
            count: How many there are.
        """
        with progress(count, "Aligning", "utterance") as bar:
            for row, tiers in found:
                path = self._path(row)
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as partial:
                    write_textgrid(partial, tiers, self._seconds(row))
                bar.update()

    def count(self) -> dict[str, Any]:
        """Counts the utterances.

        Returns:
            The numbers of `utterances` and those `aligned`, the TextGrids that lack as
            `left_out`, and `audio_seconds`.
        """
        left_out = sorted({*range(len(self._names))} - {*self.rows})
        return {
            "utterances": len(self._names),
            "aligned": len(self.rows),
            "left_out": [str(self._names[row]) for row in left_out],
            "audio_seconds": round(sum(map(self._seconds, self.rows)), 1),
        }

    def finish(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """Plots ten utterances, and writes results with `boundaries`; see `_score`."""
        self._plot(self._output / PLOTS)
        results = {**results, **self._score()}
        text = json.dumps(results, indent=2) + "\n"
        write_text(self._output / RESULTS_FILE, text)
        return results

    def _path(self, row: int) -> Path:
        return self._output / self._names[row]

    def _seconds(self, row: int) -> float:
        """The length of an utterance."""
        return float(self._store.lengths[row] / self._store.sample_rate_hz)

    def _true_times(self, row: int) -> Sequence[PhonemeTime]:
        """The true times of an utterance; empty where nobody knows them."""
        audio = self._utterances[row].audio
        return () if isinstance(audio, Path) else audio.render_with_phonemes()[2]

    def _score(self) -> dict[str, Any]:
        """Returns scores of the `boundaries` of what eSpeak NG speaks, if anything."""
        errors_ms = []
        with progress(len(self.rows), "Comparing", "utterance") as bar:
            for row in self.rows:
                true_times = self._true_times(row)
                if true_times:
                    phones = read_textgrid(self._path(row))[PHONES]
                    errors_ms.append(boundary_errors_ms(phones, true_times))
                bar.update()
        return {"boundaries": boundary_scores(errors_ms)} if errors_ms else {}

    def _plot(self, folder: Path) -> None:
        """Plots ten sentences from all over the corpus."""
        folder.mkdir(exist_ok=True)
        positions = np.linspace(0, len(self.rows) - 1, _MAX_PLOTS).round().astype(int)
        for position in sorted(set(positions.tolist())):
            row = self.rows[position]
            grid = self._path(row)
            plot_alignment(
                self._store[row],
                self._store.sample_rate_hz,
                read_textgrid(grid),
                folder / f"{grid.stem}.png",
                self._true_times(row),
            )


def grid_names(utterances: Sequence[Utterance]) -> list[Path]:
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


def pronounce_all(utterances: Sequence[Utterance]) -> list[PronouncedText]:
    """Pronounces the texts of utterances.

    Raises:
        CorpusError: One cannot be pronounced; see `pronounce`.
    """
    texts = []
    with progress(len(utterances), "Reading", "text") as bar:
        for each in utterances:
            try:
                texts.append(pronounce(each.text))
            except TextError as error:
                raise CorpusError(f"{each.audio}: {error}") from error
            bar.update()
    return texts


def settings_text(spec: str, utterances: Sequence[Utterance], **more: Any) -> str:
    """Settings that alignments depend on, but for the audio, as JSON.

    Args:
        spec: Of the corpus.
        utterances: Of the corpus, whose texts count.
        **more: What else they depend on.
    """
    texts = "\n".join(each.text for each in utterances)
    digest = hashlib.sha256(texts.encode()).hexdigest()
    return json.dumps({"corpus": absolute_spec(spec), "texts": digest, **more})
