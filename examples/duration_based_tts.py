"""Trains a dense synthesiser, and changes rate and pitch."""

from pathlib import Path
from typing import Any

import tfspeech

TEXT = "The old man closed the door."


def main(folder: str | Path = "runs/duration_based_tts", **settings: Any) -> None:
    """Runs the example.

    Args:
        folder: Where the run and the speech are kept.
        **settings: As of `tfspeech.train_model`.
    """
    voice = tfspeech.train_model("dense_synthesis", run_dir=folder, **settings)
    print(voice)
    for name, conditions in {
        "normal": {},
        "fast": {"rate": 1.5},
        "high": {"semitones": 4},
    }.items():
        speech = voice.synthesize(TEXT, **conditions)
        speech.save(Path(folder) / f"{name}.wav")
        print(f"{name}: {len(speech.samples) / speech.rate_hz:.2f} s")


if __name__ == "__main__":
    main()
