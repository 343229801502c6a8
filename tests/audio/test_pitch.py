"""Pitch tracking on voices whose pitch is known, and against librosa's pYIN."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.decode import read_audio
from tfspeech.audio.pitch import log_pitch_and_voicing, track_pitch
from tfspeech.data.espeak import SpokenText
from tfspeech.errors import SpecError
from tfspeech.tasks.speech.scores import fundamental_frequency

RATE_HZ, HOP = 16000, 200


def voice(pitch_hz, harmonics=range(1, 12)):
    """Harmonics of a pitch that is given at every sample."""
    turns = np.cumsum(pitch_hz) / RATE_HZ
    wave = sum(np.cos(2 * np.pi * n * turns + n * n) / n for n in harmonics)
    return (0.1 * wave).astype(np.float32)


def glide(low_hz=100, high_hz=250, seconds=1.0):
    time = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    return low_hz * (high_hz / low_hz) ** (0.5 + 0.5 * np.sin(3 * time))


def tracked(waveform):
    pitch_hz = track_pitch(waveform[np.newaxis], [len(waveform)], HOP, RATE_HZ)
    assert pitch_hz.shape == (1, 1 + len(waveform) // HOP)
    return pitch_hz[0].numpy()


@pytest.mark.parametrize("harmonics", [range(1, 12), range(2, 12), range(1, 2)])
def test_a_glide_is_followed_with_or_without_its_fundamental(harmonics):
    true_hz = glide()
    found = tracked(voice(true_hz, harmonics))[3:-3]
    np.testing.assert_allclose(found, true_hz[::HOP][3 : 3 + len(found)], rtol=0.01)


@pytest.mark.parametrize("pitch_hz", [65, 120, 333, 480])
def test_constant_pitches_are_found_to_a_fraction_of_a_hertz(pitch_hz):
    found = tracked(voice(np.full(8000, pitch_hz)))
    np.testing.assert_allclose(found[3:-3], pitch_hz, rtol=2e-3)


def test_noise_and_silence_are_unvoiced_and_level_does_not_matter():
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.standard_normal(8000).astype(np.float32)
    speech = np.concatenate([noise, voice(np.full(8000, 150)), np.zeros(8000, "f4")])
    found = tracked(speech)
    np.testing.assert_array_equal(found[:36], 0)
    np.testing.assert_allclose(found[44:76], 150, rtol=0.02)
    np.testing.assert_array_equal(found[86:], 0)
    np.testing.assert_allclose(tracked(1e-3 * speech), found, rtol=1e-3)
    np.testing.assert_array_equal(tracked(np.zeros(3000, np.float32)), 0)


@pytest.mark.parametrize("garbage", [0.0, 0.7, np.nan])
def test_a_batch_equals_its_clips_whatever_the_padding(garbage):
    clips = [
        voice(glide(seconds=0.5)),
        voice(glide(80, 120, seconds=0.3)),
        voice(np.full(1, 100)),
        np.zeros(0, np.float32),
    ]
    lengths = [len(clip) for clip in clips]
    batch = np.full((len(clips), 9000), garbage, np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    found = track_pitch(batch, lengths, HOP, RATE_HZ).numpy()
    for row, clip in zip(found, clips, strict=True):
        expected = tracked(clip)
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=1e-3)
        np.testing.assert_array_equal(row[len(expected) :], 0)


def test_log_pitch_goes_straight_through_what_is_unvoiced():
    pitch_hz = np.float32([[0, 0, 100, 0, 0, 0, 200, 120, 0], [0] * 9])
    found = log_pitch_and_voicing(pitch_hz).numpy()
    places = [2, 6, 7]
    expected = np.interp(np.arange(9), places, np.log(pitch_hz[0, places]))
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(found[:, :, 1], pitch_hz > 0)
    np.testing.assert_allclose(found[1, :, 0], np.log(150), rtol=1e-5)


def disagreement(waveform, rate_hz):
    """Shares of gross errors and of frames that only one calls voiced, in percent."""
    expected = fundamental_frequency(waveform, rate_hz, HOP)
    found = track_pitch(waveform[np.newaxis], [len(waveform)], HOP, rate_hz)[0].numpy()
    both = (found > 0) & (expected > 0)
    assert np.count_nonzero(both) > 50
    gross = np.abs(found[both] / expected[both] - 1) > 0.2
    return 100 * gross.mean(), 100 * np.mean((found > 0) != (expected > 0))


def test_agrees_with_pyin_on_a_synthetic_voice():
    text = "The old man closed the door and walked away."
    waveform, rate_hz = SpokenText(text, "en-us+belinda").render()
    gross_percent, voicing_percent = disagreement(waveform, rate_hz)
    assert gross_percent < 1
    assert voicing_percent < 10


def test_agrees_with_pyin_on_recorded_speech(speech_data):
    waveform, rate_hz = read_audio(speech_data / "ljspeech/wavs/LJ001-0002.wav")
    gross_percent, voicing_percent = disagreement(waveform, rate_hz)
    assert gross_percent < 2
    # pYIN leaves out whole vowels of this voice.
    assert voicing_percent < 20


def test_works_in_a_graph_of_any_batch_and_length():
    graph = tf.function(
        lambda waveforms, lengths: track_pitch(waveforms, lengths, HOP, RATE_HZ),
        input_signature=[
            tf.TensorSpec([None, None], tf.float32),
            tf.TensorSpec([None], tf.int32),
        ],
    )
    for clip in (voice(glide(seconds=0.3)), np.zeros(1, np.float32)):
        found = graph(clip[np.newaxis], [len(clip)])[0]
        np.testing.assert_allclose(found, tracked(clip), rtol=1e-3)


@pytest.mark.parametrize("range_hz", [(0, 500), (200, 100), (60, 8000)])
def test_pitches_out_of_range_are_named(range_hz):
    with pytest.raises(SpecError, match=f"low_hz={range_hz[0]}"):
        track_pitch(np.zeros([1, 10], np.float32), [10], HOP, RATE_HZ, *range_hz)
