"""The inputs and outputs of exported models: one name means the same in all of them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tfspeech.errors import RunError
from tfspeech.tasks.conditions import CONDITIONS
from tfspeech.tasks.limits import RecognitionLimits, SpeechLimits


class Meaning(NamedTuple):
    """Contents of an input or output.

    Attributes:
        row: The dimensions of a row of the batch by name, outermost first.
        text: Its values in words.
        unit: Of its values; empty where they have none.
    """

    row: tuple[str, ...]
    text: str
    unit: str = ""

    @property
    def dims(self) -> tuple[str, ...]:
        """All its dimensions by name, outermost first."""
        return ("batch", *self.row)


TENSORS = {
    "waveform": Meaning(("samples",), "audio at sample_rate_hz, full scale is 1"),
    "waveform_length": Meaning((), "how much of the waveform is valid", "samples"),
    "sample_rate_hz": Meaning((), "rate of the waveform", "Hz"),
    "audio_bytes": Meaning((), "complete wav files, of any rate and sample format"),
    "scores": Meaning(("labels",), "probability of every label"),
    "labels": Meaning(("labels",), "the labels in the order of the scores"),
    "label": Meaning((), "the most probable label, empty where there is an error"),
    "transcript": Meaning((), "what is said, empty where there is an error"),
    "confidence": Meaning((), "probability of exactly this transcript"),
    "error": Meaning((), "why a row was not answered, empty where it was"),
    "text": Meaning((), "UTF-8, words with numbers written out"),
    "symbols": Meaning(("symbols",), "positions in the table of symbols"),
    "symbols_length": Meaning((), "how many of the symbols are valid", "symbols"),
    **{c.name: Meaning((), c.help, c.unit) for c in CONDITIONS},
    **{c.symbol_spec.name: Meaning(("symbols",), c.help, c.unit) for c in CONDITIONS},
    "row": Meaning((), "any number: the answer has a row for each"),
    "symbol_names": Meaning(
        ("table",), "the names of all symbols of the model, in their order"
    ),
    "durations": Meaning(("symbols",), "length of every symbol", "frames"),
    "mel": Meaning(("frames", "mels"), "natural logarithms of mel magnitudes", "ln"),
    "frames": Meaning(
        ("frames", "frame_dim"), "mel, followed by what else the vocoder takes"
    ),
    "frame_length": Meaning((), "how many of the frames are valid", "frames"),
    "is_last": Meaning((), "whether an utterance ends with these frames"),
    "past": Meaning(
        ("past_size",), "what the next chunk needs of those before, 0 for the first"
    ),
    "past_frames": Meaning(
        ("past", "frame_dim"), "frames before these that still have an influence"
    ),
    "past_length": Meaning((), "how many of past_frames are valid", "frames"),
    "past_number": Meaning((), "frames before past_frames in the utterance", "frames"),
    "past_turns": Meaning((), "phase of the pulses at the first of them", "turns"),
    "alignment": Meaning(
        ("steps", "symbols"), "attention of every decoder step to the symbols"
    ),
    "stopped": Meaning((), "whether the model itself found the end"),
    **{
        limit.name: Meaning((), limit.metadata["help"], limit.metadata["unit"])
        for limits in (RecognitionLimits, SpeechLimits)
        for limit in dataclasses.fields(limits)
    },
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
