"""Pictures of speech."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.tasks.speech.plots import plot_speech
from tfspeech.tasks.speech.task import Speech

FEATURES = AcousticConfig(sample_rate_hz=8000, num_mels=40)
PITCH_HZ = 150.0
TEXT = " ".join(["a sentence that is too long for the width of the picture"] * 3)


@pytest.fixture
def axes(tmp_path, monkeypatch):
    """The panels of a picture of half a second of a voice of 150 Hz."""
    figures = []
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *a, **k: figures.append(figure)
    )
    time = np.arange(4000) / 8000
    harmonics = np.arange(1, 20)[:, np.newaxis] * PITCH_HZ
    voice = np.cos(2 * np.pi * harmonics * time).sum(axis=0) / 40
    voice = voice.astype(np.float32)
    frames = acoustic_frames(voice[np.newaxis], np.array([4000]), FEATURES)[0][
        0
    ].numpy()
    alignment = np.random.default_rng(0).dirichlet(np.ones(5), 7)
    speech = Speech(frames, alignment)
    path = tmp_path / "a.png"
    plot_speech(TEXT, speech, voice, frames, voice, FEATURES, path)
    return figures[0].axes


def test_axes_are_seconds_and_hertz(axes):
    ours, theirs, attention = axes
    for panel in (ours, theirs):
        assert panel.get_xlabel() == "time (s)"
        assert panel.get_ylabel() == "frequency (Hz)"
        left, right, *_ = panel.images[0].get_extent()
        assert (left, right) == (0.0, pytest.approx(0.5, abs=0.02))
        ticks = {t.get_text(): t.get_position()[1] for t in panel.get_yticklabels()}
        assert list(ticks) == ["200", "500", "1000", "2000"]
        assert sorted(ticks.values()) == list(ticks.values())
    assert attention.images[0].get_extent()[1] == pytest.approx(0.5, abs=0.02)


def test_the_pitch_is_drawn_at_its_frequency(axes):
    (line,) = axes[0].lines
    ticks = {t.get_text(): t.get_position()[1] for t in axes[0].get_yticklabels()}
    drawn = np.nanmedian(line.get_ydata())
    assert -0.5 < drawn < ticks["200"]
    assert np.isfinite(line.get_ydata()).mean() > 0.8


def test_a_long_text_is_wrapped(axes):
    lines = axes[0].get_title().splitlines()
    assert len(lines) == 2
    assert " ".join(lines) == TEXT
