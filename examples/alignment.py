"""Finds the times of the phonemes of a corpus, and trains on them."""

from pathlib import Path
from typing import Any

import tfspeech
from tfspeech.tasks.alignment.run import align_corpus


def main(
    folder: str | Path = "runs/alignment", data: str = "reader", **settings: Any
) -> None:
    """Runs the example.

    Args:
        folder: Where alignments and run are kept.
        data: A corpus of sentences.
        **settings: As of `tfspeech.train_model`.
    """
    times = Path(folder) / "times"
    found = align_corpus(data, times)
    print(f"{found['aligned']} of {found['utterances']} utterances are aligned")
    if "boundaries" in found:  # The true times are known.
        print(f"median error {found['boundaries']['median_ms']:.1f} ms")
    voice = tfspeech.train_model(
        "dense_synthesis",
        data=data,
        alignments=times,
        run_dir=Path(folder) / "voice",
        **settings,
    )
    print(voice)


if __name__ == "__main__":
    main()
