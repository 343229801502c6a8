"""Vocoders: what comes out has the frames that went in."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import signal

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames, log_mel
from tfspeech.audio.decode import read_audio
from tfspeech.audio.pitch import track_pitch
from tfspeech.audio.vocoders import (
    VOCODERS,
    GriffinLim,
    LpcSynthesis,
    mel_to_magnitudes,
)
from tfspeech.errors import SpecError

CONFIG = AcousticConfig(sample_rate_hz=16000, num_mels=80, lpc_order=20)
PITCHED = dataclasses.replace(CONFIG, pitch=True)
CASES = [*((name, CONFIG) for name in VOCODERS), ("lpc", PITCHED)]


def voice(seconds, rate_hz=16000, seed=0):
    """Harmonics of a gliding pitch under a wandering spectral envelope, with noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    turns = np.cumsum(120 + 30 * np.sin(3 * time)) / rate_hz
    formant_hz = 900 + 500 * np.sin(5 * time)
    wave = sum(
        np.exp(-(((120 * n - formant_hz) / 600) ** 2)) * np.sin(2 * np.pi * n * turns)
        for n in range(1, 30)
    )
    return (0.1 * wave + 0.003 * rng.standard_normal(time.size)).astype(np.float32)


def frames_of(*waveforms, config=CONFIG):
    lengths = [len(waveform) for waveform in waveforms]
    batch = np.zeros((len(waveforms), max(lengths)), np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return acoustic_frames(batch, lengths, config)


def distance(waveform, vocoder, config=CONFIG):
    """Mean difference of the frames of a waveform before and after a vocoder, in dB."""
    frames, frame_lengths = frames_of(waveform, config=config)
    synthesis, lengths = vocoder(frames, frame_lengths)
    again, again_lengths = acoustic_frames(synthesis, lengths, config)
    np.testing.assert_array_equal(again_lengths, frame_lengths)
    return 20 / np.log(10) * np.abs(again - frames).mean()


def test_griffin_lim_gives_back_the_mel_energies():
    assert distance(voice(1.0), GriffinLim(CONFIG)) < 1.5


def test_griffin_lim_gives_back_recorded_speech(speech_data):
    waveform, rate_hz = read_audio(speech_data / "ljspeech/wavs/LJ001-0002.wav")
    config = AcousticConfig(sample_rate_hz=rate_hz)
    assert distance(waveform, GriffinLim(config), config) < 1.0


def test_griffin_lim_gives_back_the_pitch():
    time = np.arange(16000) / 16000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    synthesis, _ = GriffinLim(CONFIG)(*frames_of(tone))
    middle = synthesis[0, 4000:12000].numpy()
    assert abs(np.abs(np.fft.rfft(middle)).argmax() * 2 - 440) <= 20
    assert np.std(middle) == pytest.approx(np.std(tone), rel=0.2)


def test_griffin_lim_converges_and_faster_with_momentum():
    waveform = voice(0.5)
    few, many, plain = (
        distance(waveform, GriffinLim(CONFIG, iterations, momentum))
        for iterations, momentum in ((4, 0.99), (32, 0.99), (32, 0.0))
    )
    assert many < plain < few


def test_silence_stays_silent():
    synthesis, lengths = GriffinLim(CONFIG)(*frames_of(np.zeros(4000, np.float32)))
    assert lengths.numpy() == [4000]
    assert np.abs(synthesis).max() < 1e-6


@pytest.mark.parametrize("garbage", [0.0, 9.0, np.nan])
@pytest.mark.parametrize(("name", "config"), CASES)
def test_a_batch_equals_its_utterances_whatever_the_padding(name, config, garbage):
    vocoder = VOCODERS[name](config)
    voices = voice(0.6), voice(0.3, seed=1), voice(0.005)
    frames, frame_lengths = frames_of(*voices, config=config)
    frames = frames.numpy()
    padded = np.full((3, frames.shape[1] + 5, frames.shape[2]), garbage, np.float32)
    for i, length in enumerate(frame_lengths):
        padded[i, :length] = frames[i, :length]
    waveforms, lengths = vocoder(padded, frame_lengths)
    np.testing.assert_array_equal(lengths, (frame_lengths - 1) * CONFIG.hop_length)
    assert waveforms.shape == (3, lengths.numpy().max())
    for i, length in enumerate(lengths):
        alone, _ = vocoder(
            frames[i : i + 1, : frame_lengths[i]], frame_lengths[i][None]
        )
        np.testing.assert_allclose(waveforms[i, :length], alone[0], atol=1e-4)
        np.testing.assert_array_equal(waveforms[i, length:], 0)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(("name", "config"), CASES)
def test_works_in_a_graph_of_any_batch_and_length(name, config):
    vocoder = VOCODERS[name](config)
    graph = tf.function(
        lambda frames, frame_lengths: vocoder(frames, frame_lengths),
        input_signature=[
            tf.TensorSpec([None, None, config.frame_dim], tf.float32),
            tf.TensorSpec([None], tf.int32),
        ],
    )
    for waveforms in ([voice(0.4)], [voice(0.3), voice(0.4)]):
        inputs = frames_of(*waveforms, config=config)
        computed, lengths = acoustic_frames(*graph(*inputs), CONFIG)
        expected, expected_lengths = acoustic_frames(*vocoder(*inputs), CONFIG)
        np.testing.assert_array_equal(lengths, expected_lengths)
        assert np.abs(computed - expected).mean() < 0.03


def test_magnitudes_have_the_mel_energies_and_are_not_negative():
    frames, _ = frames_of(voice(0.3))
    magnitudes = mel_to_magnitudes(frames[:, :, :80], CONFIG).numpy()
    assert magnitudes.shape[2] == CONFIG.spectrogram.fft_length // 2 + 1
    assert magnitudes.min() >= 0
    assert np.abs(log_mel(magnitudes, CONFIG) - frames[:, :, :80]).mean() < 0.06


def test_lpc_synthesis_equals_the_recursion():
    rng = np.random.default_rng(0)
    excitation = rng.standard_normal((1, 20 * CONFIG.hop_length)).astype(np.float32)
    # One pole on the warped axis is one pole and one zero on the plain one.
    n = np.arange(1, 21)
    frames = np.zeros((1, 20, CONFIG.frame_dim), np.float32)
    frames[:, :, 80:] = np.append(0.5**n / n, np.log(0.1))
    waveform, _ = LpcSynthesis(CONFIG).synthesize(excitation, frames, [20])
    expected = signal.lfilter([0.1, -0.045], [1.225, -0.95], excitation[0])
    expected = expected[: waveform.shape[1]]
    # Before the first frame the excitation is 0, and the first window opens on it.
    steady = slice(2 * CONFIG.hop_length, None)
    np.testing.assert_allclose(waveform[0, steady], expected[steady], atol=1e-4)


def smooth_distance(waveform, vocoder, config):
    """Mean difference of the frames in bands of four mels, in dB."""
    frames, frame_lengths = frames_of(waveform, config=config)
    synthesis, lengths = vocoder(frames, frame_lengths)
    again, _ = acoustic_frames(synthesis, lengths, config)
    mels = config.num_mels // 4 * 4
    bands = [
        np.reshape(f[:, :, :mels], [-1, mels // 4, 4]).mean(axis=2)
        for f in (frames, again)
    ]
    return 20 / np.log(10) * np.abs(bands[0] - bands[1]).mean(), synthesis[0].numpy()


def test_a_whisper_has_the_spectral_envelope_of_the_voice():
    frames, frame_lengths = frames_of(voice(1.0))
    synthesis, lengths = LpcSynthesis(CONFIG)(frames, frame_lengths)
    again, _ = acoustic_frames(synthesis, lengths, CONFIG)
    # Twenty bands of four mels; harmonics and the grain of the noise average out.
    bands = [
        np.reshape(f[:, :, :80], [-1, 20, 4]).mean((0, 2)) for f in (frames, again)
    ]
    # Below the first harmonic there is nothing.
    assert np.abs(bands[0] - bands[1])[3:].max() < 1.0
    assert np.std(synthesis) == pytest.approx(np.std(voice(1.0)), rel=0.3)


def test_pulses_give_back_a_voice_its_pitch_and_its_spectrum():
    original = voice(1.0)
    distance_db, synthesis = smooth_distance(original, LpcSynthesis(PITCHED), PITCHED)
    assert distance_db < 2.5
    pitches = [
        track_pitch(w[np.newaxis], [len(w)], PITCHED.hop_length, 16000)[0, 3:78].numpy()
        for w in (original, synthesis)
    ]
    np.testing.assert_allclose(pitches[1], pitches[0], rtol=0.03)
    assert np.std(synthesis) == pytest.approx(np.std(original), rel=0.25)


def test_pulses_give_back_recorded_speech_better_than_a_whisper(speech_data):
    waveform, rate_hz = read_audio(speech_data / "ljspeech/wavs/LJ001-0002.wav")
    config = AcousticConfig(sample_rate_hz=rate_hz, lpc_order=32, pitch=True)
    plain = dataclasses.replace(config, pitch=False)
    spoken_db, synthesis = smooth_distance(waveform, LpcSynthesis(config), config)
    whispered_db, _ = smooth_distance(waveform, LpcSynthesis(plain), plain)
    assert spoken_db < min(2.5, 0.8 * whispered_db)
    assert np.isfinite(synthesis).all()


def test_lpc_synthesis_needs_its_parameters():
    with pytest.raises(SpecError, match="lpc_order=0"):
        LpcSynthesis(AcousticConfig(sample_rate_hz=16000))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [((0,), "iterations=0"), ((8, 1.0), "momentum=1.0"), ((8, -0.1), "momentum=-0.1")],
)
def test_values_out_of_range_are_named(arguments, problem):
    with pytest.raises(SpecError) as error:
        GriffinLim(CONFIG, *arguments)
    assert problem in str(error.value)
