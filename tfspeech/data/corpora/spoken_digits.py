"""The built-in corpus: the ten digits in synthetic voices."""

from __future__ import annotations

from tfspeech.data.manifest import Corpus
from tfspeech.data.spoken_words import DIGITS, english_voices, spoken_words

_COUNTS_PER_LABEL = {"train": 400, "validation": 40, "test": 60}
_SNR_RANGE_DB = (10.0, 45.0)


def load(seed: int = 0) -> Corpus:
    """Returns 4,000 training, 400 validation and 600 test utterances.

    The labels are `0` to `9`, as in the Free Spoken Digit Dataset. No voice (an accent
    in a variant) of one split speaks in another, nor does its variant.

    Args:
        seed: The same seed gives the same samples.
    """
    return Corpus(
        "spoken_digits",
        tuple(
            utterance
            for split, count in _COUNTS_PER_LABEL.items()
            for utterance in spoken_words(
                tuple(DIGITS), english_voices(split), count, seed, split, _SNR_RANGE_DB
            )
        ),
    )
