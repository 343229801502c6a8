"""Features against librosa, and their independence of the padding."""

import dataclasses

import librosa
import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.features import (
    FeatureConfig,
    energies_to_features,
    extract_features,
    frame_energies,
    mel_filters,
)
from tfspeech.errors import SpecError

# (rate, frame, hop); 22.05 kHz has whole samples at multiples of 20 ms only.
SETTINGS = [(8000, 25, 10), (16000, 25, 10), (16000, 32, 12.5), (22050, 40, 20)]


# Nothing but what librosa does by default.
PLAIN = {
    "features": "log_mel",
    "num_mels": 40,
    "mel_low_hz": 0.0,
    "preemphasis": 0.0,
    "trim_db": 0.0,
    "dynamic_range_db": 0.0,
    "utterance_normalization": "none",
    "utterance_mean_share": 1.0,
}


def config_for(rate_hz=16000, frame_ms=25, hop_ms=10, **fields):
    return FeatureConfig(
        sample_rate_hz=rate_hz,
        frame_length_ms=frame_ms,
        hop_length_ms=hop_ms,
        **(PLAIN | fields),
    )


def recording(samples, seed=0):
    """Noise with a rising level and a tone: a wide range of energies."""
    rng = np.random.default_rng(seed)
    level = np.logspace(-4, -0.5, max(samples, 1))[:samples]
    tone = np.sin(0.3 * np.arange(samples))
    return (level * (rng.standard_normal(samples) + tone)).astype(np.float32)


def single(waveform, config):
    features, frames = extract_features(waveform[None], [len(waveform)], config)
    assert frames.numpy() == [features.shape[1]]
    return features[0].numpy()


def librosa_features(waveform, config):
    if config.preemphasis:
        waveform = librosa.effects.preemphasis(
            waveform, coef=config.preemphasis, zi=np.zeros(1)
        )
    geometry = {
        "n_fft": config.fft_length,
        "win_length": config.frame_length,
        "hop_length": config.hop_length,
        "pad_mode": "constant",
    }
    if config.features == "spectrogram":
        return np.abs(librosa.stft(waveform, **geometry)) ** 2
    mel = librosa.feature.melspectrogram(
        y=waveform,
        sr=config.sample_rate_hz,
        n_mels=config.num_mels,
        fmin=config.mel_low_hz,
        fmax=config.mel_high_hz or None,
        **geometry,
    )
    if config.features == "mel":
        return mel
    decibels = librosa.power_to_db(mel, amin=config.power_floor, top_db=None)
    if config.features == "log_mel":
        return decibels
    return librosa.feature.mfcc(
        S=decibels, n_mfcc=config.num_cepstra, lifter=config.liftering
    )


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "fields",
    [
        {"features": "spectrogram"},
        {"features": "mel", "num_mels": 30},
        {"features": "log_mel"},
        {"features": "log_mel", "preemphasis": 0.97, "power_floor": 1e-6},
        {"features": "log_mel", "mel_low_hz": 80.0, "mel_high_hz": 3800.0},
        {"features": "mfcc"},
        {"features": "mfcc", "num_cepstra": 20, "liftering": 22.0},
    ],
    ids=str,
)
def test_equals_librosa(setting, fields):
    config = config_for(*setting, **fields)
    waveform = recording(config.sample_rate_hz + 123)
    expected = librosa_features(waveform, config).T
    # Decibels to 0.001 dB, powers to 1e-4 of their value and 1e-6 of the greatest.
    tolerance = {"rtol": 1e-5, "atol": 1e-3}
    if config.features in ("spectrogram", "mel"):
        tolerance = {"rtol": 1e-4, "atol": 1e-6 * expected.max()}
    np.testing.assert_allclose(single(waveform, config), expected, **tolerance)


@pytest.mark.parametrize(("order", "width"), [(1, 9), (2, 9), (2, 5)])
@pytest.mark.parametrize("features", ["log_mel", "mfcc"])
def test_deltas_equal_librosa(features, order, width):
    config = config_for(features=features, delta_order=order, delta_width=width)
    waveform = recording(9000)
    static = librosa_features(waveform, config)
    deltas = [
        librosa.feature.delta(static, width=width, order=o, mode="nearest")
        for o in range(1, order + 1)
    ]
    expected = np.concatenate([static, *deltas]).T
    np.testing.assert_allclose(single(waveform, config), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("normalization", ["mean", "mean_variance"])
def test_normalization_is_over_the_frames_of_the_utterance(normalization):
    plain = config_for()
    config = dataclasses.replace(plain, utterance_normalization=normalization)
    waveform = recording(9000)
    features = single(waveform, plain)
    expected = features - features.mean(axis=0)
    if normalization == "mean_variance":
        expected /= features.std(axis=0)
    np.testing.assert_allclose(single(waveform, config), expected, atol=1e-3)


EVERYTHING = {
    "features": "mfcc",
    "preemphasis": 0.97,
    "liftering": 22.0,
    "delta_order": 2,
    "utterance_normalization": "mean_variance",
}


@pytest.mark.parametrize("fields", [{}, EVERYTHING], ids=["defaults", "everything"])
@pytest.mark.parametrize("garbage", [0.0, 0.7, np.nan, np.inf])
def test_a_batch_equals_its_clips_whatever_the_padding(fields, garbage):
    config = config_for(**fields)
    lengths = [4000, 3999, 161, 1, 0]
    batch = np.full((len(lengths), 5000), garbage, np.float32)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = recording(length, seed=length)
    features, frames = extract_features(batch, lengths, config)
    features = features.numpy()
    assert features.shape == (len(lengths), 1 + 5000 // 160, config.feature_dim)
    np.testing.assert_array_equal(frames, [1 + length // 160 for length in lengths])
    for i, length in enumerate(lengths):
        expected = single(batch[i, :length], config)
        assert np.isfinite(expected).all()
        np.testing.assert_allclose(features[i, : len(expected)], expected, atol=1e-3)
        np.testing.assert_array_equal(features[i, len(expected) :], 0)


def test_works_in_a_graph_of_any_batch_and_length():
    config = config_for(**EVERYTHING)
    extract = tf.function(
        lambda waveforms, lengths: extract_features(waveforms, lengths, config),
        input_signature=[
            tf.TensorSpec([None, None], tf.float32),
            tf.TensorSpec([None], tf.int32),
        ],
    )
    for batch, samples in ((1, 800), (3, 2000), (2, 0)):
        waveforms = np.stack([recording(samples, seed) for seed in range(batch)])
        lengths = [samples] * batch
        features, _ = extract(waveforms, lengths)
        expected, _ = extract_features(waveforms, lengths, config)
        np.testing.assert_allclose(features, expected, atol=1e-3)


@pytest.mark.parametrize("features", ["spectrogram", "mel", "log_mel", "mfcc"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_feature_dim_is_that_of_the_output(features, order):
    config = config_for(features=features, delta_order=order, num_mels=20)
    assert single(recording(2000), config).shape[1] == config.feature_dim


def test_with_a_dynamic_range_the_level_of_an_utterance_does_not_matter():
    config = config_for(dynamic_range_db=40.0, power_floor=1e-20)
    waveform = recording(4000)
    features = single(waveform, config)
    np.testing.assert_allclose(single(waveform * 0.01, config), features, atol=1e-3)
    mel = librosa_features(waveform, config_for(features="mel")).T
    wanted = 10 * np.log10(mel / mel.max() + 1e-4)
    np.testing.assert_allclose(features, wanted, atol=1e-3)
    padded = np.concatenate([waveform, 100 * recording(900)])[None]
    with_garbage = extract_features(padded, [4000], config)[0][0, : len(features)]
    np.testing.assert_allclose(with_garbage, features, atol=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_a_share_of_the_mean_is_taken_out(share):
    plain = single(recording(4000), config_for())
    config = config_for(utterance_normalization="mean", utterance_mean_share=share)
    wanted = plain - share * plain.mean(axis=0)
    np.testing.assert_allclose(single(recording(4000), config), wanted, atol=2e-3)


def test_energies_and_what_is_made_of_them_are_the_two_halves():
    config = FeatureConfig(sample_rate_hz=16000)
    waveforms, lengths = np.stack([recording(3000), recording(3000, 1)]), [3000, 1200]
    energies, frames = frame_energies(waveforms, lengths, config)
    assert energies.shape == (2, 19, config.num_mels)
    features, kept = energies_to_features(energies, frames, config)
    whole, whole_kept = extract_features(waveforms, lengths, config)
    np.testing.assert_array_equal(features, whole)
    np.testing.assert_array_equal(kept, whole_kept)


def test_silence_at_the_ends_is_left_out_but_for_one_frame():
    noise = np.random.default_rng(0).normal(size=3200)
    quiet = 1e-4 * np.random.default_rng(1).normal(size=8000)
    waveform = (np.pad(0.1 * noise, (1600, 3200)) + quiet).astype(np.float32)
    level = single(waveform, config_for(features="mel")).mean(axis=1)
    loud = np.flatnonzero(level >= level.max() / 1000)
    kept = slice(loud[0] - 1, loud[-1] + 2)
    assert 8 <= kept.start <= 9
    assert 30 <= kept.stop <= 33
    whole = single(waveform, config_for())
    trimmed = single(waveform, config_for(trim_db=30.0))
    np.testing.assert_allclose(trimmed, whole[kept], atol=1e-3)


def test_silence_alone_is_kept():
    config = config_for(trim_db=30.0)
    features, frames = extract_features(np.zeros([2, 1600]), [1600, 0], config)
    assert frames.numpy().tolist() == [11, 1]
    assert np.all(np.isfinite(features))


def test_lengths_in_samples():
    config = config_for(22050, 40, 20)
    assert (config.frame_length, config.hop_length) == (882, 441)
    assert config.fft_length == 1024
    assert config_for(16000, 32, 8).fft_length == 512


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"features": "lpc"}, "features='lpc'"),
        ({"sample_rate_hz": -1}, "sample_rate_hz=-1"),
        ({"frame_length_ms": 0.0}, "frame_length_ms=0.0"),
        ({"hop_length_ms": float("nan")}, "hop_length_ms=nan"),
        ({"num_mels": 0}, "num_mels=0"),
        ({"mel_low_hz": 5000.0, "mel_high_hz": 4000.0}, "mel_low_hz=5000.0"),
        ({"sample_rate_hz": 8000, "mel_high_hz": 5000.0}, "mel_high_hz=5000.0"),
        ({"power_floor": 0.0}, "power_floor=0.0"),
        ({"preemphasis": 1.5}, "preemphasis=1.5"),
        ({"features": "mfcc", "num_mels": 12}, "num_cepstra=13"),
        ({"liftering": -1.0}, "liftering=-1.0"),
        ({"dynamic_range_db": -1.0}, "dynamic_range_db=-1.0"),
        ({"utterance_mean_share": 1.5}, "utterance_mean_share=1.5"),
        ({"delta_order": 3}, "delta_order=3"),
        ({"delta_width": 4}, "delta_width=4"),
        ({"utterance_normalization": "max"}, "utterance_normalization='max'"),
        ({"sample_rate_hz": 22050}, "multiple of 20 ms"),
        ({"sample_rate_hz": 8000, "hop_length_ms": 0.3}, "hop_length_ms=0.3"),
    ],
)
def test_values_out_of_range_are_named(fields, problem):
    with pytest.raises(SpecError) as error:
        FeatureConfig(**fields)
    assert problem in str(error.value)


def test_features_need_a_sample_rate():
    with pytest.raises(SpecError, match="sample_rate_hz=0"):
        extract_features(np.zeros([1, 100], np.float32), [100], FeatureConfig())


def test_filters_without_a_frequency_are_refused():
    with pytest.raises(SpecError, match="num_mels=300"):
        mel_filters(config_for(8000, num_mels=300))
