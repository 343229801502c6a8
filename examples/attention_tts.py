"""Trains a synthesiser with attention, and compares two vocoders."""

from pathlib import Path
from typing import Any

import tfspeech

TEXT = "The old man closed the door."


def main(folder: str | Path = "runs/attention_tts", **settings: Any) -> None:
    """Runs the example.

    Args:
        folder: Where the run and the speech are kept.
        **settings: As of `tfspeech.train_model`.
    """
    voice = tfspeech.train_model("attention_tts", run_dir=folder, **settings)
    print(voice)
    print(f"how it attends to the text: {voice.plots}")
    for iterations in (5, 60):
        speech = voice.synthesize(TEXT, vocoder=f"griffin_lim({iterations})")
        speech.save(Path(folder) / f"griffin_lim_{iterations}.wav")


if __name__ == "__main__":
    main()
