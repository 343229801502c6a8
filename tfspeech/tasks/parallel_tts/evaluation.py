"""How good a parametric synthesiser is, with true durations and with its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfspeech.audio.resample import resample
from tfspeech.console import progress
from tfspeech.data.espeak import SpokenText
from tfspeech.tasks.attention_tts.evaluation import (
    ANCHOR_VOICE,
    PITCH_SENTENCES,
    mean_score,
)
from tfspeech.tasks.speech.scores import (
    alignment_path,
    fundamental_frequency,
    mel_cepstral_distortion,
    pitch_scores,
)

if TYPE_CHECKING:
    from tfspeech.tasks.parallel_tts.data import ParametricData
    from tfspeech.tasks.parallel_tts.task import ParametricSynthesis

COLUMNS = {
    "aligned_": "true durations",
    "": "own durations",
    "vocoder_": "vocoder",
    "other_voice_": "other voice",
}
"""Prefix of a score -> what it was measured on: the model with the durations of the
recording, compared frame by frame; the model with its own, compared along the path of
dynamic time warping; the vocoder with the frames of the recording, frame by frame; and
another voice that reads the same text, along a path."""


def evaluate_parametric(
    task: ParametricSynthesis, data: ParametricData, indices: np.ndarray
) -> dict[str, Any]:
    """Speaks the texts of a corpus and compares with its recordings.

    All distortions are measured on waveforms.

    Args:
        task: The trained model.
        data: The corpus.
        indices: Places of the utterances.

    Returns:
        `loss`; `sentences`, their number; `mcd_db`, `f0_rmse_hz` and
        `voicing_error_percent` under the prefixes of `COLUMNS`, where another voice has
        no pitch to be compared; `duration_ratio` of whole sentences, and
        `duration_rmse_frames` of the phonemes.
    """
    spoken = data.spoken(indices)
    batches = task.batches(spoken).ordered(len(indices))
    segments, lengths, durations = spoken.padded(np.arange(len(indices)))
    own_durations = task.durations(segments, lengths, tf.ones([len(indices)]))
    aligned = task.speak_timed(segments, lengths, durations)
    own = task.speak_timed(segments, lengths, own_durations)
    scores: dict[str, Any] = {
        "sentences": len(indices),
        "loss": task.mean_loss(batches),
        "duration_rmse_frames": task.duration_rmse_frames(
            segments, durations, own_durations
        ),
    }
    pitched = {int(i) for i in np.linspace(0, len(indices) - 1, PITCH_SENTENCES)}
    found: list[dict[str, float]] = []
    with progress(len(indices), "comparing with recordings", "sentence") as bar:
        for row, index in enumerate(indices):
            waveforms = {
                "aligned_": task.waveform(aligned[row].frames),
                "": task.waveform(own[row].frames),
                "vocoder_": task.waveform(spoken.frames[row].numpy()),
            }
            text = data.corpus.utterances[index].text
            recording = data.store[index]
            compared = _compare(task, recording, waveforms, text, row in pitched)
            ratio = len(own[row].frames) / len(aligned[row].frames)
            found.append(compared | {"duration_ratio": ratio})
            bar.update()
    names = {name: None for each in found for name in each}
    return scores | {name: mean_score(found, name) for name in names}


def aligned_distortion(reference: np.ndarray, synthesis: np.ndarray) -> float:
    """Mel-cepstral distortion of speech with the timing of a recording, in dB.

    Args:
        reference: Log-mels of the recording, [frames, num_mels].
        synthesis: Those of the synthesis; what is longer of the two is cut off.
    """
    path = _frame_by_frame(reference, synthesis)
    return mel_cepstral_distortion(reference, synthesis, path)


def _compare(
    task: ParametricSynthesis,
    recording: np.ndarray,
    waveforms: dict[str, np.ndarray],
    text: str,
    with_pitch: bool,
) -> dict[str, float]:
    """The scores of one sentence."""
    features = task.features
    rendered, native_hz = SpokenText(text, ANCHOR_VOICE).render()
    other = resample(tf.constant(rendered), native_hz, features.sample_rate_hz).numpy()
    true = task.log_mels(recording)
    true_hz = _pitch(task, recording) if with_pitch else None
    scores = {}
    for name, waveform in (waveforms | {"other_voice_": other}).items():
        mels = task.log_mels(waveform)
        path = (
            alignment_path(true, mels)
            if name in ("", "other_voice_")
            else _frame_by_frame(true, mels)
        )
        scores[f"{name}mcd_db"] = mel_cepstral_distortion(true, mels, path)
        if true_hz is not None and name != "other_voice_":
            pitch_hz = _pitch(task, waveform)
            found = pitch_scores(true_hz, pitch_hz, path)
            scores |= {f"{name}{score}": value for score, value in found.items()}
    return scores


def _pitch(task: ParametricSynthesis, waveform: np.ndarray) -> np.ndarray:
    features = task.features
    return fundamental_frequency(waveform, features.sample_rate_hz, features.hop_length)


def _frame_by_frame(reference: np.ndarray, synthesis: np.ndarray) -> np.ndarray:
    """Pairs of frames of the same number, int [frames, 2]."""
    frames = np.arange(min(len(reference), len(synthesis)))
    return np.stack([frames, frames], axis=1)


def describe_parametric(scores: dict[str, Any]) -> str:
    """The scores as text, with their anchors."""

    def row(name: str, key: str, unit: str) -> str:
        figures = (scores.get(f"{column}{key}") for column in COLUMNS)
        cells = ("-" if figure is None else f"{figure:.2f}" for figure in figures)
        return f"{name:<26}" + "".join(f"{cell:>16}" for cell in cells) + f"  {unit}"

    return "\n".join(
        [
            f"{scores['sentences']} sentences, loss {scores['loss']:.4f}",
            "",
            f"{'':<26}" + "".join(f"{name:>16}" for name in COLUMNS.values()),
            row("mel-cepstral distortion", "mcd_db", "dB"),
            row("F0 RMSE", "f0_rmse_hz", "Hz"),
            row("voicing error", "voicing_error_percent", "%"),
            "",
            f"{'duration RMSE':<26}{scores['duration_rmse_frames']:>16.2f}  frames",
            f"{'duration ratio':<26}{scores['duration_ratio']:>16.2f}",
        ]
    )
