"""How near speech is to recordings, beside its references: vocoder and other voice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.audio.resample import resample
from tfspeech.console import progress
from tfspeech.data.espeak import SpokenText
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.speech.judge import SCORES, SpeechJudge
from tfspeech.tasks.speech.scores import (
    Pairing,
    alignment_path,
    fundamental_frequency,
    speech_scores,
)

PITCH_SENTENCES = 30
"""Finding the pitch is slow; so many tell it to about a hertz."""
REFERENCE_VOICE = "en-us+f3"
OTHER_VOICE = "other_voice_"
"""Prefix of the scores of `REFERENCE_VOICE`, whose pitch is not compared."""
RECORDING = "recording_"
"""Prefix of the judge's scores of the recordings."""


class Column(NamedTuple):
    """Subject of scores with a prefix of their own.

    Attributes:
        title: Its name.
        pairing: Pairs its frames with those of the recording: `alignment_path`, or
            `frame_pairs` where both have the same timing.
    """

    title: str
    pairing: Pairing = alignment_path


def compare_with_recordings(
    data: RecordingData,
    indices: Sequence[int],
    columns: Mapping[str, Column],
    spoken: Iterable[Mapping[str, np.ndarray]],
    judge: SpeechJudge | None = None,
) -> dict[str, float | None]:
    """Compares speech with the recordings of the same texts.

    All distortions are measured on waveforms. Beside them may be another voice that
    reads the same.

    Args:
        data: The corpus.
        indices: Places of the utterances.
        columns: Prefix of the scores -> the column. Where `OTHER_VOICE` is among them,
            another voice speaks.
        spoken: For each utterance, prefix -> waveform, float32 [samples], of all
            columns but `OTHER_VOICE`.
        judge: Scores all waveforms and the recordings, too, if given.

    Returns:
        The means of `speech_scores` and of the judge's scores under all prefixes, those
        of the pitch over `PITCH_SENTENCES`, and the judge's of the recordings under
        `RECORDING`; None where there is no figure.
    """
    count = len(indices)
    pitched = {int(i) for i in np.linspace(0, count - 1, PITCH_SENTENCES)}
    found = []
    with progress(count, "comparing with recordings", "sentence") as bar:
        for row, (index, waveforms) in enumerate(zip(indices, spoken, strict=True)):
            if OTHER_VOICE in columns:
                text = data.corpus.utterances[index].text
                waveforms = {
                    **waveforms,
                    OTHER_VOICE: _other_voice(text, data.features),
                }
            recording = data.store[index]
            scores = _compare(
                *(recording, waveforms, columns, data.features),
                with_pitch=row in pitched,
            )
            if judge:
                for prefix, waveform in {**waveforms, RECORDING: recording}.items():
                    judged = judge.scores(waveform, data.features.sample_rate_hz)
                    scores |= {f"{prefix}{name}": mos for name, mos in judged.items()}
            found.append(scores)
            bar.update()
    names = {name: None for each in found for name in each}
    return {name: _mean(found, name) for name in names}


def _compare(
    recording: np.ndarray,
    waveforms: Mapping[str, np.ndarray],
    columns: Mapping[str, Column],
    features: AcousticConfig,
    with_pitch: bool,
) -> dict[str, float]:
    """The scores of one sentence."""

    def pitch(waveform: np.ndarray) -> np.ndarray:
        hop_length = features.hop_length
        return fundamental_frequency(waveform, features.sample_rate_hz, hop_length)

    true = log_mels(recording, features)
    true_hz = pitch(recording) if with_pitch else None
    scores = {}
    for prefix, waveform in waveforms.items():
        known = with_pitch and prefix != OTHER_VOICE
        found = speech_scores(
            true,
            log_mels(waveform, features),
            true_hz,
            pitch(waveform) if known else None,
            columns[prefix].pairing,
        )
        scores |= {f"{prefix}{score}": value for score, value in found.items()}
    return scores


def _other_voice(text: str, features: AcousticConfig) -> np.ndarray:
    """Another voice that reads a text, float32 [samples]."""
    rendered, native_hz = SpokenText(text, REFERENCE_VOICE).render()
    return resample(tf.constant(rendered), native_hz, features.sample_rate_hz).numpy()


def log_mels(waveform: np.ndarray, features: AcousticConfig) -> np.ndarray:
    """The log-mels of a waveform, float32 [frames, num_mels].

    Args:
        waveform: float32 [samples].
        features: The frames; what they have besides log-mels is left out.
    """
    features = dataclasses.replace(features, lpc_order=0, pitch=False)
    samples = tf.constant(waveform[np.newaxis])
    return acoustic_frames(samples, [len(waveform)], features)[0].numpy()[0]


def _mean(found: Sequence[dict[str, float]], name: str) -> float | None:
    """The mean over the sentences that have the figure; None where none has."""
    values = np.array([each[name] for each in found if name in each])
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def comparison_table(scores: Mapping[str, Any], columns: Mapping[str, Column]) -> str:
    """The scores of `compare_with_recordings` as text."""

    def row(name: str, key: str, unit: str) -> str:
        figures = (scores.get(f"{prefix}{key}") for prefix in columns)
        cells = ("-" if figure is None else f"{figure:.2f}" for figure in figures)
        line = f"{name:<26}" + "".join(f"{cell:>16}" for cell in cells)
        return f"{line}  {unit}".rstrip()

    judged = [
        row(title, name, "MOS")
        for name, title in SCORES.items()
        if f"{RECORDING}{name}" in scores
    ]
    judged += [
        f"{title + ' of the recordings':<26}{scores[f'{RECORDING}{name}']:>16.2f}"
        for name, title in SCORES.items()
        if judged
    ]
    return "\n".join(
        [
            " " * 26 + "".join(f"{column.title:>16}" for column in columns.values()),
            row("mel-cepstral distortion", "mcd_db", "dB"),
            row("F0 RMSE", "f0_rmse_hz", "Hz"),
            row("voicing error", "voicing_error_percent", "%"),
            row("duration ratio", "duration_ratio", ""),
            *judged,
        ]
    )
