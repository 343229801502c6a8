"""The inputs and outputs of exported models: one name means the same in all of them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfspeech.errors import RunError
from tfspeech.tasks.conditions import CONDITIONS


class Meaning(NamedTuple):
    """Contents of an input or output.

    Attributes:
        dims: Its dimensions by name, outermost first.
        text: Its values in words.
        unit: Of its values; empty where they have none.
    """

    dims: tuple[str, ...]
    text: str
    unit: str = ""


TENSORS = {
    "waveform": Meaning(
        ("batch", "samples"), "audio at sample_rate_hz, full scale is 1"
    ),
    "waveform_length": Meaning(
        ("batch",), "how much of the waveform is valid", "samples"
    ),
    "sample_rate_hz": Meaning(("batch",), "rate of the waveform", "Hz"),
    "audio_bytes": Meaning(
        ("batch",), "complete wav files, of any rate and sample format"
    ),
    "scores": Meaning(("batch", "labels"), "probability of every label"),
    "labels": Meaning(("batch", "labels"), "the labels in the order of the scores"),
    "label": Meaning(("batch",), "the most probable label"),
    "text": Meaning(("batch",), "UTF-8, words with numbers written out"),
    "symbols": Meaning(("batch", "symbols"), "positions in the table of symbols"),
    "symbols_length": Meaning(
        ("batch",), "how many of the symbols are valid", "symbols"
    ),
    **{c.name: Meaning(("batch",), c.help, c.unit) for c in CONDITIONS},
    "row": Meaning(("batch",), "any number: the answer has a row for each"),
    "symbol_names": Meaning(
        ("batch", "table"), "the names of all symbols of the model, in their order"
    ),
    "durations": Meaning(("batch", "symbols"), "length of every symbol", "frames"),
    "mel": Meaning(
        ("batch", "frames", "mels"), "natural logarithms of mel magnitudes", "ln"
    ),
    "frames": Meaning(
        ("batch", "frames", "frame_dim"),
        "mel, followed by what else the vocoder takes",
    ),
    "frame_length": Meaning(("batch",), "how many of the frames are valid", "frames"),
    "alignment": Meaning(
        ("batch", "steps", "symbols"), "attention of every decoder step to the symbols"
    ),
    "stopped": Meaning(("batch",), "whether the model itself found the end"),
}


def meaning(name: str) -> Meaning:
    """Returns the contents of the inputs and outputs of this name.

    Raises:
        RunError: No model has had one so far.
    """
    if name not in TENSORS:
        raise RunError(
            f"a signature has {name!r}, of which nothing is known; say what it holds "
            "in TENSORS in tfspeech/serving/tensors.py"
        )
    return TENSORS[name]


def shape_text(name: str, dtype: tf.DType) -> str:
    """Type and shape as text, such as `float32 [batch, samples]`."""
    return f"{dtype.name} [{', '.join(meaning(name).dims)}]"
