"""Augmentation: what it changes, by how much, and that the seeds decide it all."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from models.layers.random import fold_in
from tfspeech.audio.augment import (
    AugmentConfig,
    add_noise,
    augment_energies,
    augment_features,
    augment_waveforms,
    change_dynamics,
    change_microphone,
    change_room,
    change_tempo,
)

RATE_HZ = 8000
HOP_MS = 10.0


def seeds(count=4, seed=0):
    return fold_in(tf.range(count, dtype=tf.int64), seed)


OFF = AugmentConfig(
    **{
        field.name: type(field.default)(0)
        for field in dataclasses.fields(AugmentConfig)
    }
)


def tones(hz=440.0):
    """Tones of different lengths, and their lengths."""
    lengths = np.array([8000, 6000, 4000, 2000], np.int32)
    time = np.arange(lengths.max()) / RATE_HZ
    waveforms = np.tile(np.sin(2 * np.pi * hz * time), (4, 1)).astype(np.float32)
    waveforms[np.arange(lengths.max()) >= lengths[:, None]] = 0.0
    return tf.constant(waveforms), tf.constant(lengths)


def energies(batch=4, frames=60, bands=20, seed=0):
    rng = np.random.default_rng(seed)
    lengths = np.linspace(frames, frames // 2, batch).astype(np.int32)
    values = rng.exponential(size=(batch, frames, bands)).astype(np.float32)
    values[np.arange(frames) >= lengths[:, None]] = 0.0
    return tf.constant(values), tf.constant(lengths)


def test_with_everything_off_nothing_changes():
    waveforms, lengths = tones()
    changed, new_lengths = augment_waveforms(waveforms, lengths, seeds(), OFF, RATE_HZ)
    np.testing.assert_array_equal(new_lengths, lengths)
    np.testing.assert_allclose(changed, waveforms, atol=1e-6)
    values, frames = energies()
    changed, new_frames = augment_energies(values, frames, seeds(), OFF, HOP_MS)
    np.testing.assert_array_equal(new_frames, frames)
    np.testing.assert_allclose(changed, values, rtol=1e-5)
    np.testing.assert_array_equal(
        augment_features(values, frames, seeds(), OFF), values
    )


@pytest.mark.parametrize("recorded", [False, True])
def test_the_seeds_decide_everything(recorded):
    config = AugmentConfig(noise_share=1.0, room_share=1.0, frequency_masks=1)
    noise = energies(1, 500)[0][0] if recorded else None
    results = []
    for seed in (2, 2, 3):
        waveforms, lengths = augment_waveforms(*tones(), seeds(4, seed), config, 8000)
        beyond = np.arange(waveforms.shape[1]) >= lengths.numpy()[:, None]
        assert not waveforms.numpy()[beyond].any()
        changed, frames = augment_energies(
            *energies(), seeds(4, seed), config, HOP_MS, noise
        )
        hidden = augment_features(changed, frames, seeds(4, seed), config)
        assert np.all(np.isfinite(hidden))
        assert np.all(changed.numpy() >= 0)
        results.append(waveforms.numpy().tobytes() + hidden.numpy().tobytes())
    assert results[0] == results[1]
    assert results[0] != results[2]


LOUD = AugmentConfig(
    speed=1.0, noise_share=1.0, room_share=1.0, time_masks=2, frequency_masks=2
)
NOISE = energies(1, 500)[0][0]
# Each takes values, lengths and seeds, and returns changed ones, with or without new
# lengths.
CHANGES = {
    "waveforms": lambda *row: augment_waveforms(*row, LOUD, RATE_HZ),
    "energies": lambda *row: augment_energies(*row, LOUD, HOP_MS, NOISE),
    "tempo": lambda *row: change_tempo(*row, 0.2),
    "dynamics": lambda *row: change_dynamics(*row, 0.4),
    "room": lambda values, _, seeds: change_room(values, seeds, LOUD, HOP_MS),
    "microphone": lambda values, _, seeds: change_microphone(values, seeds, LOUD),
    "synthetic noise": lambda *row: add_noise(*row, LOUD),
    "recorded noise": lambda *row: add_noise(*row, LOUD, NOISE),
    "features": lambda *row: augment_features(*row, LOUD),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_utterance_changes_alone_as_in_any_batch(name):
    values, lengths = energies(batch=12)
    if name == "waveforms":  # As many, so that vector instructions take part.
        values, lengths = (tf.concat([each] * 3, axis=0) for each in tones())
    own = seeds(len(lengths))

    def change(rows, padding):
        longest = int(lengths.numpy()[rows].max())
        chosen = tf.gather(values, rows)[:, :longest]
        # Beyond the lengths only features must be 0.
        padded = np.full((len(rows), longest + padding, *values.shape[2:]), 0.7, "f4")
        inside = np.arange(longest + padding) < lengths.numpy()[rows, None]
        padded[:, :longest] = chosen
        padded[~inside] = 0.0 if name == "features" else 0.7
        given = tf.constant(padded), tf.gather(lengths, rows), tf.gather(own, rows)
        changed = CHANGES[name](*given)
        changed, ends = changed if isinstance(changed, tuple) else (changed, given[1])
        return [
            each[:end] for each, end in zip(changed.numpy(), ends.numpy(), strict=True)
        ]

    rows = list(range(len(lengths)))
    together = change(rows[::-1], padding=17)[::-1]
    kept = [values[row, : lengths[row]] for row in rows]
    assert not all(map(np.array_equal, together, kept))
    for row in rows:
        (alone,) = change([row], padding=0)
        # Some roundings of float32, as vector instructions have it.
        np.testing.assert_allclose(alone, together[row], rtol=3e-6, atol=1e-7)


def test_neighbours_with_other_seeds_change_in_other_ways():
    values, lengths = tf.ones([2, 50, 20]), tf.fill([2], 50)
    for name, change in CHANGES.items():
        if name not in ("waveforms", "features"):
            changed = change(values, lengths, seeds(2))
            first, second = changed[0] if isinstance(changed, tuple) else changed
            if name not in ("tempo", "dynamics"):  # All frames are alike to them.
                assert not np.allclose(first, second, rtol=1e-2), name


def test_speed_moves_length_and_pitch_together():
    config = dataclasses.replace(OFF, speed=0.2)
    waveforms, lengths = tones()
    changed, new_lengths = augment_waveforms(
        waveforms, lengths, seeds(), config, RATE_HZ
    )
    factors = lengths.numpy() / new_lengths.numpy()
    assert np.all((factors > 1 / 1.21) & (factors < 1.21))
    assert len(set(factors.round(3))) > 1
    for row, length, factor in zip(changed.numpy(), new_lengths, factors, strict=True):
        spectrum = np.abs(np.fft.rfft(row[:length] * np.hanning(length), 65536))
        peak_hz = spectrum.argmax() * RATE_HZ / 65536
        assert peak_hz == pytest.approx(440 * factor, rel=0.01)


def test_a_shift_puts_silence_on_both_sides():
    config = dataclasses.replace(OFF, time_shift_ms=60.0)
    waveforms, lengths = tones()
    changed, new_lengths = augment_waveforms(
        waveforms, lengths, seeds(), config, RATE_HZ
    )
    starts = set()
    for before, after, old, new in zip(
        waveforms.numpy(), changed.numpy(), lengths.numpy(), new_lengths, strict=True
    ):
        start = np.flatnonzero(after)[0] - np.flatnonzero(before)[0]
        starts.add(start)
        assert 0 <= start <= 480
        assert 0 <= int(new) - old - start <= 480
        np.testing.assert_allclose(after[start : start + old], before[:old], atol=1e-6)
    assert len(starts) > 1


def test_gain_is_within_its_range():
    config = dataclasses.replace(OFF, gain_db=6.0)
    waveforms, lengths = tones()
    changed, _ = augment_waveforms(waveforms, lengths, seeds(), config, RATE_HZ)
    gains_db = 20 * np.log10(
        np.abs(changed).max(axis=1) / np.abs(waveforms).max(axis=1)
    )
    assert np.all(np.abs(gains_db) <= 6.0)
    assert np.ptp(gains_db) > 0.5


def test_tempo_moves_length_alone():
    values = tf.tile(tf.linspace(0.0, 1.0, 101)[None, :, None], [8, 1, 3])
    changed, lengths = change_tempo(values, tf.fill([8], 101), seeds(8), 0.25)
    assert len(set(lengths.numpy())) > 1
    for row, length in zip(changed.numpy(), lengths.numpy(), strict=True):
        assert 80 <= length <= 127
        # The ramp stays a ramp, from its beginning to about its end.
        slope = np.diff(row[:length, 0])
        np.testing.assert_allclose(slope[:-2], slope[0], rtol=1e-3)
        assert row[length - 1, 0] == pytest.approx(1.0, abs=0.03)


def test_dynamics_leave_the_loudest_frame_and_the_order_of_levels():
    values = tf.tile(tf.pow(10.0, -tf.range(5.0))[None, :, None], [16, 1, 3])
    changed = change_dynamics(values, tf.fill([16], 5), seeds(16), 0.4).numpy()
    np.testing.assert_allclose(changed[:, 0], 1.0, rtol=1e-5)
    assert np.all(np.diff(changed[:, :, 0], axis=1) < 0)
    exponents = np.log10(changed[:, 1, 0]) / -1.0
    assert 0.6 <= exponents.min() < 0.9
    assert 1.1 < exponents.max() <= 1.4


def test_dynamics_move_whatever_is_below_40_db_as_what_is_there():
    values = tf.constant([1.0, 1e-4, 1e-6, 1e-9])
    values = tf.tile(values[None, :, None], [16, 1, 3])
    gains = change_dynamics(values, tf.fill([16], 4), seeds(16), 0.4) / values
    assert np.ptp(np.log10(gains[:, 1])) > 1.0
    for below in (2, 3):
        np.testing.assert_allclose(gains[:, below], gains[:, 1], rtol=1e-5)


def test_a_room_adds_energy_that_decays_after_the_sound():
    clicks = np.zeros((100, 60, 3), np.float32)
    clicks[:, 10] = 1.0
    config = dataclasses.replace(OFF, room_share=1.0, room_decay_ms=200.0)
    heard = change_room(tf.constant(clicks), seeds(100), config, HOP_MS).numpy()
    np.testing.assert_array_equal(heard[:, :10], 0.0)
    np.testing.assert_allclose(heard[:, 10], 1.0)
    diffuse = heard[:, 11:].sum(axis=1).mean(axis=1)
    assert np.all(10 * np.log10(diffuse) > -12 - 4)
    assert np.all(10 * np.log10(diffuse) < 3 + 4)
    # 60 dB lower after at most 200 ms, give or take the ripple.
    assert np.all(heard[:, 31].mean(axis=1) < 10**-5 * diffuse * 100)
    slowest = np.log10(heard[:, 12].mean(axis=1) / heard[:, 22].mean(axis=1)).min()
    assert slowest == pytest.approx(3.0, abs=0.5)  # 30 dB in 100 ms.
    none = dataclasses.replace(config, room_share=0.0)
    same = change_room(tf.constant(clicks), seeds(100), none, HOP_MS)
    np.testing.assert_array_equal(same, clicks)


def test_a_microphone_colours_every_frame_alike():
    config = dataclasses.replace(OFF, equalizer_db=4.0)
    changed = change_microphone(tf.ones([500, 3, 25]), seeds(500), config)
    changed_db = 10 * np.log10(changed)
    np.testing.assert_array_equal(changed_db[:, 0], changed_db[:, 2])
    assert changed_db[:, 0, ::4].std() == pytest.approx(4.0, rel=0.1)
    tilted = dataclasses.replace(OFF, tilt_db=5.0)
    changed = change_microphone(tf.ones([500, 1, 25]), seeds(500), tilted)
    changed_db = 10 * np.log10(changed)
    np.testing.assert_allclose(changed_db[:, 0, 12], 0.0, atol=1e-4)
    np.testing.assert_allclose(changed_db[:, 0, 0], -changed_db[:, 0, 24], atol=1e-3)
    assert 4.5 < changed_db[:, 0, 0].max() <= 5.0 + 1e-3


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
@pytest.mark.parametrize("recorded", [False, True])
def test_noise_has_the_ratio_that_was_asked_for(snr_db, recorded):
    config = dataclasses.replace(
        OFF, noise_share=1.0, snr_min_db=snr_db, snr_max_db=snr_db
    )
    values, lengths = energies(batch=64, frames=400, bands=30)
    noise = energies(1, 5000, 30)[0][0] if recorded else None
    added = (add_noise(values, lengths, seeds(64), config, noise) - values).numpy()
    speech = np.arange(400) < lengths.numpy()[:, None]
    ratio = values.numpy()[speech].mean() / added[speech].mean()
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.5)


def test_recorded_noise_is_what_is_added_to_half_the_utterances():
    config = dataclasses.replace(OFF, noise_share=1.0, snr_min_db=-60, snr_max_db=-60)
    noise = tf.tile(tf.constant([[1.0, 0.0]]), [30, 10])  # Every other band is silent.
    changed = add_noise(*energies(batch=400), seeds(400), config, noise).numpy()
    lowest = changed[:, :20, 1::2].mean(axis=(1, 2)) / changed[:, :20].mean(axis=(1, 2))
    recorded = lowest < 1e-3
    # Synthetic noise has no silent bands.
    assert lowest[~recorded].min() > 1e-2
    assert recorded.mean() == pytest.approx(0.5, abs=0.08)


def test_only_the_share_that_was_asked_for_gets_noise():
    config = dataclasses.replace(OFF, noise_share=0.3)
    values = tf.ones([2000, 5, 4])
    changed = add_noise(values, tf.fill([2000], 5), seeds(2000), config)
    share = np.mean(np.any(changed.numpy() != 1.0, axis=(1, 2)))
    assert share == pytest.approx(0.3, abs=0.05)


def test_masks_hide_spans_of_time_and_bands_of_features():
    features = tf.random.stateless_normal([64, 40, 20], [0, 0])
    lengths = tf.fill([64], 30)
    features *= tf.cast(tf.sequence_mask(lengths, 40), tf.float32)[:, :, None]
    config = dataclasses.replace(OFF, time_masks=1, time_mask_share=0.5)
    hidden = augment_features(features, lengths, seeds(64), config).numpy()
    changed = np.any(hidden != features.numpy(), axis=2)
    assert 0 < changed.sum(axis=1).max() <= 15
    assert not changed[:, 30:].any()
    config = dataclasses.replace(OFF, frequency_masks=2, frequency_mask_share=0.2)
    hidden = augment_features(features, lengths, seeds(64), config).numpy()
    changed = np.any(hidden != features.numpy(), axis=1)
    assert 0 < changed.sum(axis=1).max() <= 8
    row, band = np.argwhere(changed)[0]
    mean = features.numpy()[row, :30, band].mean()
    np.testing.assert_allclose(hidden[row, :30, band], mean, rtol=1e-4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("speed", 2.0), ("gain_db", -1.0), ("time_masks", -1), ("snr_min_db", 50.0)],
)
def test_settings_out_of_range_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        AugmentConfig(**{field: value})
