import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.augment import (
    AugmentConfig,
    add_noise,
    augment_features,
    augment_waveforms,
    change_room,
    change_speed,
    shift_time,
)

RATE_HZ = 8000
SEED = tf.constant([1, 2], tf.int64)
OFF = AugmentConfig(
    **{
        field.name: type(field.default)(0)
        for field in dataclasses.fields(AugmentConfig)
    }
)


def tones(count=4, hz=440.0):
    """Tones of different lengths, and their lengths."""
    lengths = np.array([8000, 6000, 4000, 2000, 1000][:count], np.int32)
    time = np.arange(lengths.max()) / RATE_HZ
    waveforms = np.tile(np.sin(2 * np.pi * hz * time), (count, 1)).astype(np.float32)
    waveforms[np.arange(lengths.max()) >= lengths[:, None]] = 0.0
    return tf.constant(waveforms), tf.constant(lengths)


def test_with_everything_off_nothing_changes():
    waveforms, lengths = tones()
    changed, new_lengths = augment_waveforms(waveforms, lengths, SEED, OFF, RATE_HZ)
    np.testing.assert_array_equal(new_lengths, lengths)
    np.testing.assert_allclose(changed, waveforms, atol=1e-5)
    features = tf.random.stateless_normal([4, 30, 20], [0, 0])
    frames = tf.fill([4], 30)
    hidden = augment_features(features, frames, SEED, OFF)
    np.testing.assert_array_equal(hidden, features)


@pytest.mark.parametrize("recorded", [False, True])
def test_the_seed_decides_everything_and_padding_stays_silent(recorded):
    noise = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    results = []
    for seed in ([1, 2], [1, 2], [1, 3]):
        changed, lengths = augment_waveforms(
            *tones(),
            tf.constant(seed, tf.int64),
            AugmentConfig(noise_share=1.0, room_share=1.0),
            RATE_HZ,
            noise if recorded else None,
        )
        beyond = np.arange(changed.shape[1]) >= lengths.numpy()[:, None]
        assert not changed.numpy()[beyond].any()
        assert np.all(np.isfinite(changed))
        results.append(changed.numpy().tobytes())
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_speed_moves_length_and_pitch_together():
    waveforms, lengths = tones()
    changed, new_lengths = change_speed(waveforms, lengths, SEED, 0.2)
    factors = lengths.numpy() / new_lengths.numpy()
    assert np.all((factors > 1 / 1.21) & (factors < 1.21))
    assert len(set(factors.round(3))) > 1
    for row, length, factor in zip(changed.numpy(), new_lengths, factors, strict=True):
        spectrum = np.abs(np.fft.rfft(row[:length] * np.hanning(length), 65536))
        peak_hz = spectrum.argmax() * RATE_HZ / 65536
        assert peak_hz == pytest.approx(440 * factor, rel=0.01)


def test_the_curve_through_the_samples_is_accurate_for_speech_frequencies():
    waveforms, lengths = tones(count=1, hz=500.0)
    changed, new_lengths = change_speed(waveforms, lengths, SEED, 0.2)
    factor = np.float64(8000) / int(new_lengths[0])
    inside = np.arange(100, int(new_lengths[0]) - 100)
    # The length is rounded down, so the true factor is up to 1 / length lower.
    best = min(
        np.abs(
            np.sin(2 * np.pi * 500 * inside * f / RATE_HZ) - changed.numpy()[0, inside]
        ).max()
        for f in factor - np.linspace(0, 2e-4, 1000)
    )
    assert best < 0.02


def test_a_shift_puts_silence_on_both_sides():
    waveforms, lengths = tones()
    changed, new_lengths = shift_time(waveforms, lengths, SEED, 500)
    for before, after, old, new in zip(
        waveforms.numpy(), changed.numpy(), lengths.numpy(), new_lengths, strict=True
    ):
        start = np.flatnonzero(after)[0] - np.flatnonzero(before)[0]
        assert 0 <= start <= 500
        assert 0 <= int(new) - old - start <= 500
        np.testing.assert_array_equal(after[start : start + old], before[:old])


def test_noise_has_the_ratio_that_was_asked_for():
    waveforms, lengths = tones()
    for snr_db in (0.0, 20.0):
        config = dataclasses.replace(
            OFF, noise_share=1.0, snr_min_db=snr_db, snr_max_db=snr_db
        )
        added = add_noise(waveforms, lengths, SEED, config) - waveforms
        ratio = tf.norm(waveforms, axis=1) / tf.norm(added, axis=1)
        np.testing.assert_allclose(20 * np.log10(ratio), snr_db, atol=0.01)


def test_recorded_noise_is_what_is_added_to_half_the_utterances():
    waveforms, lengths = tones()
    config = dataclasses.replace(OFF, noise_share=1.0)
    constant = np.ones(500, np.float32)
    added = (add_noise(waveforms, lengths, SEED, config, constant) - waveforms).numpy()
    flat = [
        np.ptp(row[:length]) < 1e-5 for row, length in zip(added, lengths, strict=True)
    ]
    assert flat == [True, False, True, False]


def test_only_the_share_that_was_asked_for_gets_noise():
    waveforms = tf.ones([2000, 50])
    lengths = tf.fill([2000], 50)
    config = dataclasses.replace(OFF, noise_share=0.3)
    changed = add_noise(waveforms, lengths, SEED, config)
    share = np.mean(np.any(changed.numpy() != 1.0, axis=1))
    assert share == pytest.approx(0.3, abs=0.05)


def test_a_room_leaves_a_tail_and_a_microphone_colours():
    clicks = np.zeros((200, 4000), np.float32)
    clicks[:, 100] = 1.0
    lengths = tf.fill([200], 4000)
    room = dataclasses.replace(OFF, room_share=1.0, room_decay_ms=200.0)
    heard = change_room(tf.constant(clicks), lengths, SEED, room, RATE_HZ).numpy()
    assert np.abs(heard[:, :99]).max() < 1e-4  # Nothing before the click.
    early = np.square(heard[:, 101:500]).sum(axis=1)
    late = np.square(heard[:, 1000:1400]).sum(axis=1)
    assert np.all(early > 1e-4)
    assert np.all(late < 1e-3 * early)
    microphone = dataclasses.replace(OFF, equalizer_db=6.0)
    heard = change_room(tf.constant(clicks), lengths, SEED, microphone, RATE_HZ)
    spectra_db = 20 * np.log10(np.abs(np.fft.rfft(heard.numpy(), axis=1)))
    assert spectra_db.std(axis=0).mean() == pytest.approx(6.0, rel=0.25)


def test_masks_hide_spans_of_time_and_bands_of_features():
    features = tf.random.stateless_normal([64, 40, 20], [0, 0])
    lengths = tf.fill([64], 30)
    features *= tf.cast(tf.sequence_mask(lengths, 40), tf.float32)[:, :, None]
    config = dataclasses.replace(OFF, time_masks=1, time_mask_share=0.5)
    hidden = augment_features(features, lengths, SEED, config).numpy()
    changed = np.any(hidden != features.numpy(), axis=2)
    assert 0 < changed.sum(axis=1).max() <= 15
    assert not changed[:, 30:].any()
    config = dataclasses.replace(OFF, frequency_masks=2, frequency_mask_share=0.2)
    hidden = augment_features(features, lengths, SEED, config).numpy()
    changed = np.any(hidden != features.numpy(), axis=1)
    assert 0 < changed.sum(axis=1).max() <= 8
    mean = features.numpy().sum(axis=(1, 2)) / (30 * 20)
    row, band = np.argwhere(changed)[0]
    np.testing.assert_allclose(hidden[row, :30, band], mean[row], rtol=1e-4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("speed", 2.0), ("gain_db", -1.0), ("time_masks", -1), ("snr_min_db", 50.0)],
)
def test_settings_out_of_range_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        AugmentConfig(**{field: value})
