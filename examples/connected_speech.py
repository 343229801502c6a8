"""Trains a recogniser of strings of words, lists its errors, and times words."""

from pathlib import Path
from typing import Any

import tfspeech


def main(folder: str | Path = "runs/connected_speech", **settings: Any) -> None:
    """Runs the example.

    Args:
        folder: Where the run and the exported model are kept.
        **settings: As of `tfspeech.train_model`.
    """
    run = tfspeech.train_model("ctc_recognizer", run_dir=folder, **settings)
    print(run)

    low, high = run.results["wer_interval"]
    print(f"word error rate {run.results['wer']:.2%} ({low:.2%} to {high:.2%})")
    for error in run.results["errors"][:5]:
        print(f"{error['said']!r} was taken for {error['recognised']!r}")

    data = run.config.read_data(split="test")
    rate_hz = data.features.sample_rate_hz
    first = data.corpus.indices("test")[0]
    heard = run.transcribe((data.store[first], rate_hz))
    print(
        f"said: {data.transcripts[first]}, heard: {heard.text} ({heard.confidence:.0%})"
    )
    for segment in heard.segments:
        for word in segment.words:
            print(f"{word.start_s:6.2f} s  {word.word}")
    print(f"exported to {run.export(Path(folder) / 'saved_models')}")


if __name__ == "__main__":
    main()
