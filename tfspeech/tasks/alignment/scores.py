"""How far the boundaries of an alignment are from the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tfspeech.data.espeak import PhonemeTime
from tfspeech.data.textgrid import Interval
from tfspeech.tasks.alignment.aligner import SILENCE
from tfspeech.text.phonemes import PAUSE

CLOSE_MS, NEAR_MS = 20, 50


def boundary_errors_ms(
    phones: Sequence[Interval], true_times: Sequence[PhonemeTime]
) -> np.ndarray:
    """Returns by how much the phonemes of an utterance start too late.

    The first phoneme is left out: where it starts is hardly a question.

    Args:
        phones: As found, with `SILENCE` for pauses.
        true_times: The true times of the same phonemes, and of pauses.

    Returns:
        In milliseconds, float64 [phonemes - 1]. None where the phonemes differ.
    """
    found = [each for each in phones if each.label not in ("", SILENCE)]
    true = [each for each in true_times if each.phoneme != PAUSE]
    if [each.label for each in found] != [each.phoneme for each in true]:
        return np.zeros(0)
    starts_s = [each.start_s for each in found], [each.start_s for each in true]
    return 1000 * np.subtract(*starts_s)[1:]


def boundary_scores(errors_ms: Iterable[np.ndarray]) -> dict[str, float]:
    """Returns scores of the boundaries of many utterances.

    Args:
        errors_ms: Those of each utterance.

    Returns:
        Their number `count`, the shares `within_20_ms` and `within_50_ms` of the true
        ones, the `median_ms` of the absolute errors and that of the signed ones,
        `bias_ms`.
    """
    errors = np.concatenate([np.zeros(0), *errors_ms])
    if not errors.size:
        return {"count": 0}
    return {
        "count": errors.size,
        **{
            f"within_{limit_ms}_ms": float(np.mean(np.abs(errors) <= limit_ms))
            for limit_ms in (CLOSE_MS, NEAR_MS)
        },
        "median_ms": float(np.median(np.abs(errors))),
        "bias_ms": float(np.median(errors)),
    }
