"""Correction of speech towards log-mels: what comes nearer, and what stays."""

import numpy as np
import pytest

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.audio.correction import correct_mels, correction_reach

CONFIG = AcousticConfig(sample_rate_hz=8000, num_mels=20)
HOP = CONFIG.hop_length


def pulses_and_noise(frames, seed=0):
    rng = np.random.default_rng(seed)
    waveform = 0.02 * rng.standard_normal(frames * HOP)
    waveform[::67] += 0.5
    waveform[(frames - 1) * HOP :] = 0.0
    return waveform.astype("f4")[np.newaxis]


def log_mels(waveforms):
    samples = waveforms.shape[1] - HOP
    return acoustic_frames(waveforms[:, :samples], [samples], CONFIG)[0].numpy()


def corrected(waveforms, wanted, times=1, lengths=None):
    lengths = [wanted.shape[1]] * len(wanted) if lengths is None else lengths
    return correct_mels(waveforms, wanted, np.array(lengths), CONFIG, times).numpy()


def test_every_correction_brings_the_mels_nearer():
    """Those wanted are of speech through other filters in every half of a second."""
    waveform = pulses_and_noise(120)
    other = np.convolve(waveform[0], [0.3, -0.5, 0.4, 0.6])[: waveform.size]
    other *= np.where(np.arange(other.size) % 8000 < 4000, 0.3, 2.0)
    wanted = log_mels(other.astype("f4")[np.newaxis])
    distances = []
    for times in range(4):
        found = corrected(waveform, wanted, times)
        distances.append(np.abs(log_mels(found) - wanted).mean())
    assert distances[1] < 0.15 * distances[0]
    assert distances[3] < distances[2] < distances[1]


def test_speech_that_has_its_mels_stays_as_it_is():
    waveform = pulses_and_noise(40)
    found = corrected(waveform, log_mels(waveform), times=3)
    np.testing.assert_allclose(found[0, : 39 * HOP], waveform[0, : 39 * HOP], atol=1e-3)


def test_padding_and_batch_mates_change_nothing():
    short, long = pulses_and_noise(25), pulses_and_noise(40, seed=1)
    wanted = log_mels(short) + 0.5, log_mels(long) - 0.5
    alone = corrected(short, wanted[0], times=2)[0]
    waveforms = np.concatenate([np.pad(short, [(0, 0), (0, 15 * HOP)]), long])
    mels = np.full((2, 40, CONFIG.num_mels), np.nan, np.float32)
    mels[0, :25], mels[1] = wanted[0][0], wanted[1][0]
    together = corrected(waveforms, mels, times=2, lengths=[25, 40])[0]
    np.testing.assert_allclose(together[: 24 * HOP], alone[: 24 * HOP], atol=1e-5)


@pytest.mark.parametrize("frame_length_ms", [46.0, 25.0, 60.0])
def test_a_sample_depends_on_no_more_than_its_reach(frame_length_ms):
    config = AcousticConfig(
        sample_rate_hz=8000, num_mels=12, frame_length_ms=frame_length_ms
    )
    waveform, wanted = pulses_and_noise(60), np.full((1, 60, 12), -3.0, np.float32)
    changed = waveform.copy()
    changed[0, 30 * HOP : 31 * HOP] *= 3.0
    one, two = (
        correct_mels(each, wanted, np.array([60]), config, 1)
        for each in (waveform, changed)
    )
    hops = np.abs(two - one).reshape(60, HOP).max(axis=1)
    reach = correction_reach(config)
    dependent = np.flatnonzero(hops > 1e-7) - 30
    assert (dependent[0], dependent[-1]) == (-reach, reach)
