"""Figures for how near synthetic speech is to a recording, and how it attended."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tfspeech.audio.numba_cache import import_librosa

NUM_CEPSTRA = 13
"""Mel cepstra of the distortion, from the first on; the 0th is the level."""

# The pitches that are looked for. Frames of two periods of the lowest are needed.
_LOWEST_HZ, _HIGHEST_HZ, _PITCH_FRAME_MS = 60.0, 500.0, 46
# Attention may pass this many symbols in a decoder step: some are not heard at all.
_MOST_SYMBOLS_PER_STEP = 3
_DIAGONAL_WIDTH = 0.2
# Shares of a step's attention: of a word that is spoken, and of one that is noticed.
_MAJORITY, _MINIMUM = 0.5, 0.1

Pairing = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(log-mels of the reference, of the synthesis) -> pairs of frames, int [steps, 2]."""


def mel_cepstra(log_mel: np.ndarray) -> np.ndarray:
    """Returns the mel cepstra 1 to 13 of log-mel magnitudes.

    They are scaled so that the log magnitude at the angle w of the mel axis is
    sum c[m] cos(m w), as K. Tokuda et al., "Mel-generalized cepstral analysis", 1994.

    Args:
        log_mel: Natural logarithms of mel magnitudes, [frames, num_mels].

    Returns:
        [frames, 13].
    """
    num_mels = log_mel.shape[1]
    angle = np.pi * (np.arange(num_mels) + 0.5) / num_mels
    order = np.arange(1, NUM_CEPSTRA + 1)
    return log_mel @ np.cos(angle[:, None] * order) * 2 / num_mels


def alignment_path(reference: np.ndarray, synthesis: np.ndarray) -> np.ndarray:
    """Aligns two utterances by dynamic time warping of their mel cepstra.

    Args:
        reference: Log-mel magnitudes, [frames, num_mels], at least one frame.
        synthesis: Likewise, of any number of frames.

    Returns:
        Pairs of frames, int [steps, 2], from the first pair to the last.
    """
    cepstra = (mel_cepstra(utterance).T for utterance in (reference, synthesis))
    return import_librosa("sequence").dtw(*cepstra)[1][::-1]


def frame_pairs(reference: np.ndarray, synthesis: np.ndarray) -> np.ndarray:
    """Pairs each frame with itself, where two utterances have the same timing.

    Args:
        reference: Log-mel magnitudes, [frames, num_mels].
        synthesis: Likewise; what is longer of the two is cut off.

    Returns:
        Pairs of frames, int [steps, 2].
    """
    frames = np.arange(min(len(reference), len(synthesis)))
    return np.stack([frames, frames], axis=1)


def speech_scores(
    reference: np.ndarray,
    synthesis: np.ndarray,
    reference_hz: np.ndarray | None = None,
    synthesis_hz: np.ndarray | None = None,
    pairing: Pairing = alignment_path,
) -> dict[str, float]:
    """Compares synthetic speech with a recording of the same text.

    Args:
        reference: Log-mel magnitudes of the recording, [frames, num_mels].
        synthesis: Those of the synthesis, of any number of frames.
        reference_hz: The pitch of the recording's frames, of `fundamental_frequency`;
            None where the pitch is not to be compared.
        synthesis_hz: That of the synthesis.
        pairing: Pairs the frames of both: `alignment_path`, or `frame_pairs`.

    Returns:
        `mcd_db`, the mel-cepstral distortion; `duration_ratio`, above 1 where the
        synthesis is the longer one; and the scores of `pitch_scores`.
    """
    pairs = pairing(reference, synthesis)
    scores = {
        "mcd_db": mel_cepstral_distortion(reference, synthesis, pairs),
        "duration_ratio": len(synthesis) / len(reference),
    }
    if reference_hz is not None and synthesis_hz is not None:
        scores |= pitch_scores(reference_hz, synthesis_hz, pairs)
    return scores


def mel_cepstral_distortion(
    reference: np.ndarray, synthesis: np.ndarray, path: np.ndarray
) -> float:
    """The mean distance of mel cepstra, in dB.

    R. Kubichek, "Mel-cepstral distance measure for objective speech quality
    assessment", 1993: the mean over the path of 10 / ln 10 x sqrt(2 sum d^2) over the
    cepstra 1 to 13. That is the root mean square difference of the two spectra in dB,
    smoothed along the mel axis; the level does not count.

    Args:
        reference: Log-mel magnitudes, [frames, num_mels].
        synthesis: Likewise.
        path: Pairs of frames, int [steps, 2]: from `alignment_path`, or each frame
            with itself where both have the same timing.
    """
    difference = mel_cepstra(reference)[path[:, 0]] - mel_cepstra(synthesis)[path[:, 1]]
    distances = np.sqrt(2 * np.square(difference).sum(axis=1))
    return float(10 / math.log(10) * distances.mean())


def fundamental_frequency(
    waveform: np.ndarray, sample_rate_hz: int, hop_length: int
) -> np.ndarray:
    """Finds the pitch of frames, by probabilistic YIN of librosa.

    M. Mauch and S. Dixon, "pYIN: A Fundamental Frequency Estimator Using Probabilistic
    Threshold Distributions", 2014.

    Args:
        waveform: float32 [samples].
        sample_rate_hz: Its rate.
        hop_length: Samples from one frame to the next; frame t is centred on sample
            t x hop_length.

    Returns:
        Hz, [1 + samples // hop_length], between 60 and 500, 0 where unvoiced.
    """
    frame_length = 1 << math.ceil(math.log2(sample_rate_hz * _PITCH_FRAME_MS / 1000))
    f0_hz, voiced, _ = import_librosa("core.pitch").pyin(
        waveform,
        sr=sample_rate_hz,
        fmin=_LOWEST_HZ,
        fmax=_HIGHEST_HZ,
        frame_length=frame_length,
        hop_length=hop_length,
        resolution=0.2,
    )
    return np.where(voiced, f0_hz, 0.0)


def pitch_scores(
    reference_hz: np.ndarray, synthesis_hz: np.ndarray, path: np.ndarray
) -> dict[str, float]:
    """Compares the pitch of two utterances.

    Args:
        reference_hz: As of `fundamental_frequency`, [frames], 0 where unvoiced.
        synthesis_hz: Likewise.
        path: Pairs of frames, int [steps, 2].

    Returns:
        `f0_rmse_hz` over the pairs in which both are voiced, nan if there are none; and
        `voicing_error_percent`, the share of pairs in which one of the two is.
    """
    reference_hz, synthesis_hz = reference_hz[path[:, 0]], synthesis_hz[path[:, 1]]
    both = (reference_hz > 0) & (synthesis_hz > 0)
    difference = (reference_hz - synthesis_hz)[both]
    rmse = math.sqrt(np.square(difference).mean()) if both.any() else math.nan
    error = 100 * np.mean((reference_hz > 0) != (synthesis_hz > 0))
    return {"f0_rmse_hz": rmse, "voicing_error_percent": float(error)}


def attention_scores(alignment: np.ndarray, words: np.ndarray) -> dict[str, float]:
    """Judges how one utterance attended to its text.

    Args:
        alignment: Weights of the valid decoder steps and symbols, [steps, symbols];
            each row has the sum 1.
        words: The word that each symbol belongs to, counted from 0, or -1 for none,
            int [symbols].

    Returns:
        `focus`, the mean of the largest weight of each step; `diagonality`, how much of
        the weight lies near the diagonal (1 - the guided attention loss, g = 0.2, of
        H. Tachibana et al., "Efficiently trainable text-to-speech system", 2017);
        `monotonic_coverage`, the share of symbols that the attention passes in order,
        see `passed_symbols`; and the words that were `skipped_words` and
        `repeated_words`, see `count_lost_words`.
    """
    steps, symbols = alignment.shape
    offset = np.arange(steps)[:, None] / steps - np.arange(symbols) / symbols
    near = np.exp(-np.square(offset / _DIAGONAL_WIDTH) / 2)
    skipped, repeated = count_lost_words(alignment, words)
    return {
        "focus": float(alignment.max(axis=1).mean()),
        "diagonality": float((alignment * near).sum(axis=1).mean()),
        "monotonic_coverage": float(passed_symbols(alignment).mean()),
        "skipped_words": skipped,
        "repeated_words": repeated,
    }


def passed_symbols(alignment: np.ndarray) -> np.ndarray:
    """Tells which symbols the attention passes once and in order.

    The largest weight of each step marks where the attention is. It starts before the
    first symbol and should end behind the last. A move on by up to 3 symbols passes
    them; a longer one skips those between; a move back undoes what it goes back over,
    for good.

    Args:
        alignment: Weights, [steps, symbols].

    Returns:
        bool [symbols].
    """
    symbols = alignment.shape[1]
    passed, undone = np.zeros(symbols + 1, bool), np.zeros(symbols + 1, bool)
    position = -1
    for peak in [*alignment.argmax(axis=1), symbols]:
        if 0 < peak - position <= _MOST_SYMBOLS_PER_STEP:
            passed[position + 1 : peak] = True
        passed[peak] |= peak > position
        # Where it moves back, what follows `peak` is to be heard again.
        undone[peak + 1 : position + 1] = True
        position = peak
    return (passed & ~undone)[:symbols]


def count_lost_words(alignment: np.ndarray, words: np.ndarray) -> tuple[int, int]:
    """Counts skipped and repeated words.

    Args:
        alignment: Weights, [steps, symbols].
        words: The word of each symbol, from 0, or -1, int [symbols].

    Returns:
        The words that at no step have the most attention of all words (and a tenth of
        the whole); and those with half of a step's attention although a later word
        has had that before.
    """
    word_count = int(words.max(initial=-1)) + 1
    if not word_count:
        return 0, 0
    weights = alignment @ (words[:, None] == np.arange(word_count))
    top = weights.argmax(axis=1)[weights.max(axis=1) >= _MINIMUM]
    steps, spoken = np.nonzero(weights >= _MAJORITY)
    order = np.argsort(steps, kind="stable")
    spoken = spoken[order]
    back = spoken < np.maximum.accumulate(spoken) if spoken.size else spoken
    return word_count - len(np.unique(top)), len(np.unique(spoken[back]))
