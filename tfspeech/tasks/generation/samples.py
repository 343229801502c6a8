"""Samples of a generator of words: clips, and their contours in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tfspeech.audio.encode import write_wav
from tfspeech.tasks.generation.task import WordGeneration
from tfspeech.training.loop import LoopState
from tfspeech.training.paths import SAMPLES

ROWS, COLUMNS = 4, 8
HEARD = 10
"""Clips that are written as wav files, too."""


class GenerationSamples:
    """Writes clips of the first seeds.

    Args of the constructor:
        run_dir: Of the run.
        task: Of the run.
    """

    def __init__(self, run_dir: Path, task: WordGeneration) -> None:
        self._folder = run_dir / SAMPLES
        self._task = task

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Writes them where the run ends."""
        if not state.stop and state.step < state.total_steps:
            return
        self._folder.mkdir(exist_ok=True)
        clips = self._task.draw_frames(ROWS * COLUMNS)
        figure = Figure(figsize=(12, 6), layout="constrained")
        places = figure.subplots(ROWS, COLUMNS).flat
        for axes, contour in zip(places, self._task.contours(clips), strict=True):
            axes.imshow(contour.T, aspect="auto", origin="lower", vmin=-2.0, vmax=2.0)
            axes.set(xticks=[], yticks=[])
        figure.savefig(self._folder / "clips.png", dpi=80)
        rate_hz = self._task.features.sample_rate_hz
        for number, waveform in enumerate(self._task.waveforms(clips[:HEARD])):
            write_wav(self._folder / f"clip_{number}.wav", waveform, rate_hz)
