"""How good a synthesiser is, between two anchors: its vocoder, and another voice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import acoustic_frames
from tfspeech.audio.resample import resample
from tfspeech.console import progress
from tfspeech.data.espeak import SpokenText
from tfspeech.tasks.attention_tts.data import TAIL_STEPS, SynthesisData
from tfspeech.tasks.attention_tts.hard_sentences import HARD_SENTENCES
from tfspeech.tasks.speech.scores import (
    alignment_path,
    fundamental_frequency,
    mel_cepstral_distortion,
    pitch_scores,
)

if TYPE_CHECKING:
    from tfspeech.tasks.attention_tts.task import Speech, Synthesis

BATCH_SIZE = 32
PITCH_SENTENCES = 30
"""Finding the pitch is slow; so many tell it to about a hertz."""
ANCHOR_VOICE = "en-us+f3"


def evaluate_synthesis(
    task: Synthesis, data: SynthesisData, indices: np.ndarray
) -> dict[str, Any]:
    """Speaks the texts of a corpus freely and compares with its recordings.

    All distortions are measured on waveforms, ours as the vocoder made them.

    Args:
        task: The trained model.
        data: The corpus.
        indices: Places of the utterances.

    Returns:
        `loss`, that of training under teacher forcing; `sentences`, their number;
        `mcd_db`, with its anchors `vocoder_mcd_db`, that of the vocoder fed with the
        recording's own frames, and `other_voice_mcd_db`, that of another voice that
        reads the same; `f0_rmse_hz` and `voicing_error_percent`, with the vocoder's
        own as anchors; `duration_ratio`; the figures of `Synthesis.attention`; and
        those for `HARD_SENTENCES` under `hard_sentences`.
    """
    texts = data.texts(indices)
    batches = data.batches(indices, task.reduction_factor, tail=TAIL_STEPS)
    scores: dict[str, Any] = {
        "sentences": len(texts),
        "loss": task.mean_loss(batches),
    }
    speech = _speak(task, texts)
    scores |= task.attention(texts, speech)
    scores["hard_sentences"] = task.attention(
        HARD_SENTENCES, _speak(task, HARD_SENTENCES)
    )
    pitched = {int(i) for i in np.linspace(0, len(texts) - 1, PITCH_SENTENCES)}
    found: list[dict[str, float]] = []
    with progress(len(texts), "comparing with recordings", "sentence") as bar:
        for row, (index, text) in enumerate(zip(indices, texts, strict=True)):
            recording = data.store[index]
            spoken = task.waveform(speech[row].frames)
            found.append(
                _compare(task, recording, spoken, text, with_pitch=row in pitched)
            )
            bar.update()
    names = {name: None for each in found for name in each}
    return scores | {name: mean_score(found, name) for name in names}


def _speak(task: Synthesis, texts: Sequence[str]) -> list[Speech]:
    return [
        each
        for start in range(0, len(texts), BATCH_SIZE)
        for each in task.speak(texts[start : start + BATCH_SIZE])
    ]


def _compare(
    task: Synthesis,
    recording: np.ndarray,
    spoken: np.ndarray,
    text: str,
    with_pitch: bool,
) -> dict[str, float]:
    """The scores of one sentence."""
    rate_hz = task.features.sample_rate_hz
    true = _frames(task, recording)
    rendered, native_hz = SpokenText(text, ANCHOR_VOICE).render()
    other = resample(tf.constant(rendered), native_hz, rate_hz).numpy()
    waveforms = {"": spoken, "vocoder_": task.waveform(true)}
    frames = {name: _frames(task, waveform) for name, waveform in waveforms.items()}
    frames["other_voice_"] = _frames(task, other)
    mels = task.features.num_mels
    paths = {
        name: alignment_path(true[:, :mels], each[:, :mels])
        for name, each in frames.items()
    }
    scores = {
        f"{name}mcd_db": mel_cepstral_distortion(
            true[:, :mels], each[:, :mels], paths[name]
        )
        for name, each in frames.items()
    }
    scores["duration_ratio"] = len(frames[""]) / len(true)
    if with_pitch:
        hop = task.features.hop_length
        true_hz = fundamental_frequency(recording, rate_hz, hop)
        for name, waveform in waveforms.items():
            pitch_hz = fundamental_frequency(waveform, rate_hz, hop)
            found = pitch_scores(true_hz, pitch_hz, paths[name])
            scores |= {f"{name}{score}": value for score, value in found.items()}
    return scores


def _frames(task: Synthesis, waveform: np.ndarray) -> np.ndarray:
    samples = tf.constant(waveform[np.newaxis])
    frames, _ = acoustic_frames(samples, tf.constant([len(waveform)]), task.features)
    return frames.numpy()[0]


def mean_score(found: Sequence[dict[str, float]], name: str) -> float | None:
    """The mean over the sentences that have the figure; None where none has."""
    values = np.array([each[name] for each in found if name in each])
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def describe_synthesis(scores: dict[str, Any]) -> str:
    """The scores as text, with their anchors."""

    def row(name: str, key: str, unit: str) -> str:
        figures = (scores.get(f"{anchor}{key}") for anchor in ANCHORS)
        cells = ("-" if figure is None else f"{figure:.2f}" for figure in figures)
        return f"{name:<26}" + "".join(f"{cell:>12}" for cell in cells) + f"  {unit}"

    shares = ("stopped", "focus", "diagonality", "monotonic_coverage")
    lines = [
        f"{scores['sentences']} sentences, loss {scores['loss']:.4f} (teacher forcing)",
        "",
        f"{'':<26}" + "".join(f"{name:>12}" for name in ANCHORS.values()),
        row("mel-cepstral distortion", "mcd_db", "dB"),
        row("F0 RMSE", "f0_rmse_hz", "Hz"),
        row("voicing error", "voicing_error_percent", "%"),
        row("duration ratio", "duration_ratio", ""),
        "",
        *(f"{name.replace('_', ' '):<26}{scores[name]:>12.2%}" for name in shares),
        *(
            f"{name.replace('_', ' '):<26}{scores[name]:>12.2%}  of the words"
            for name in ("skipped_words", "repeated_words")
        ),
        "",
        f"{len(HARD_SENTENCES)} sentences made to break attention: "
        f"{scores['hard_sentences']['stopped']:.0%} stopped by themselves, "
        f"{scores['hard_sentences']['skipped_words']:.1%} of the words skipped, "
        f"{scores['hard_sentences']['repeated_words']:.1%} repeated",
    ]
    return "\n".join(lines)


ANCHORS = {"": "model", "vocoder_": "vocoder", "other_voice_": "other voice"}
"""Prefix of a score -> what it was measured on: the model; the vocoder with the frames
of the recording; and another voice that reads the same text."""
