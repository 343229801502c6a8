"""Excitations: their pitch, their level and their spectrum."""

import numpy as np
import pytest

from tfspeech.audio.excitation import noise, pulses_and_noise
from tfspeech.audio.pitch import track_pitch

RATE_HZ, HOP = 16000, 200


def excitation(pitch_hz, voicing, rate_hz=RATE_HZ):
    log_pitch = np.log(np.float32(pitch_hz))[np.newaxis]
    voicing = np.broadcast_to(np.float32(voicing), log_pitch.shape)
    return pulses_and_noise(log_pitch, voicing, HOP, rate_hz)[0].numpy()


@pytest.mark.parametrize("pitch_hz", [61.7, 200.0, 333.3])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050])
def test_mean_square_is_1_and_the_spectrum_flat(pitch_hz, rate_hz):
    found = excitation(np.full(161, pitch_hz), 1.0, rate_hz)
    assert np.mean(found**2) == pytest.approx(1, rel=0.05)
    power = np.abs(np.fft.rfft(found)) ** 2 / len(found)
    bands = [band.mean() for band in np.array_split(power, 6)]
    # Bands hold different numbers of harmonics.
    np.testing.assert_allclose(bands, 1, rtol=0.3)


def test_pulses_are_a_period_apart_between_the_samples():
    found = excitation(np.full(41, 201.3), 1.0, 8000)
    harmonic = np.exp(-2j * np.pi * 201.3 * np.arange(len(found)) / 8000)
    level = [np.abs(np.mean(found * harmonic**n)) for n in range(1, 19)]
    # 19 harmonics, each with the power 1 / 19.
    np.testing.assert_allclose(level, np.sqrt(1 / 19 / 2), rtol=0.02)


def test_the_pitch_glides_without_a_jump():
    pitch_hz = np.linspace(150, 200, 81)
    found = excitation(pitch_hz, 1.0)
    tracked = track_pitch(found[np.newaxis], [len(found)], HOP, RATE_HZ)[0].numpy()
    np.testing.assert_allclose(tracked[4:77], pitch_hz[4:77], rtol=0.02)


@pytest.mark.parametrize(("unsure", "sure"), [(0.2, 0.0), (0.8, 1.0)])
def test_voicing_that_is_nearly_sure_is_sure(unsure, sure):
    pitch_hz = np.full(10, 120)
    np.testing.assert_array_equal(
        excitation(pitch_hz, unsure), excitation(pitch_hz, sure)
    )


def test_unvoiced_is_noise():
    found = excitation(np.full(10, 120), 0.0)
    np.testing.assert_array_equal(found, noise(2000, RATE_HZ))
    assert np.std(noise(16000, RATE_HZ)) == pytest.approx(1, rel=0.02)


def test_long_utterances_stay_in_tune():
    pitch_hz = np.full(8000, 400.0)
    found = excitation(pitch_hz, 1.0)
    turning = np.exp(-2j * np.pi * 400 * np.arange(16000) / RATE_HZ)
    first, last = found[:16000] @ turning, found[-16000:] @ turning
    assert np.abs(last) == pytest.approx(np.abs(first), rel=0.01)
    assert np.abs(np.angle(last / first)) < 0.05
