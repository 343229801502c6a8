"""Trains a recogniser of words, looks at what clipping did, transcribes and exports."""

from pathlib import Path
from typing import Any

import numpy as np

import tfspeech


def main(folder: str | Path = "runs/word_recogniser", **settings: Any) -> None:
    """Runs the example.

    Args:
        folder: Where the run and the exported model are kept.
        **settings: As of `tfspeech.train_model`.
    """
    settings = {"clip": "quantile(0.9)", **settings}
    run = tfspeech.train_model("rnn_recognizer", run_dir=folder, **settings)
    print(run)

    clipped = run.metrics["clipped"].mean()
    kept = np.nanmean(run.metrics["retained_energy"])
    print(f"{clipped:.0%} of the steps were clipped; {kept:.0%} of the energy was kept")
    print(run.validations)

    rate_hz = run.config.features.sample_rate_hz
    noise = np.random.default_rng(0).normal(scale=0.01, size=rate_hz)
    heard = run.transcribe((noise, rate_hz))
    print(f"noise is taken for {heard.label!r} with {heard.probability:.0%}")
    print(f"exported to {run.export(Path(folder) / 'saved_models')}")


if __name__ == "__main__":
    main()
