"""The built-in corpus of sentences: one synthetic voice reads our own grammar."""

from __future__ import annotations

from tfspeech.data.espeak import SpokenText
from tfspeech.data.manifest import Corpus, Utterance
from tfspeech.data.reader import reader_sentences

# A woman's voice: spectrograms that a model has smoothed lose the pitch of low ones.
# Recognisers trained on spoken_digits do not know it; it is in its test split alone.
VOICE = "en-us+belinda"
RATE_WPM = 160

_COUNTS = {"train": 2000, "validation": 64, "test": 100}


def load(seed: int = 0) -> Corpus:
    """Returns 2,000 training, 64 validation and 100 test sentences.

    No sentence occurs twice, in whatever split. They have 1 to 12 words.

    Args:
        seed: The same seed gives the same sentences and the same samples.
    """
    sentences = iter(reader_sentences(sum(_COUNTS.values()), seed))
    return Corpus(
        "reader",
        tuple(
            Utterance(SpokenText(text, VOICE, RATE_WPM), text, VOICE, split)
            for split, count in _COUNTS.items()
            for _, text in zip(range(count), sentences, strict=False)
        ),
    )
