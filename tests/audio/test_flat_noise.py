"""Noise whose magnitudes hardly vary."""

import numpy as np
import tensorflow as tf

from tfspeech.audio.excitation import NOISE_FRAMES, flat_noise, noise

HOP, FRAME = 100, 368


def magnitudes_db(waveform):
    pieces = tf.signal.frame(waveform, FRAME, HOP) * tf.signal.hann_window(FRAME)
    spectra = np.abs(tf.signal.rfft(pieces).numpy())[:, 3:-3]
    return 20 * np.log10(spectra)


def test_flat_noise_has_the_same_magnitudes_in_all_frames():
    frames = flat_noise(tf.constant([0]), 60, HOP, FRAME)[0]
    # A frame is centred on the start of its row.
    flat = tf.reshape(frames, [-1])[HOP - FRAME // 2 % HOP :]
    white = noise(6000, 8000)
    assert magnitudes_db(flat).std() < 2.0 < 5.0 < magnitudes_db(white).std()
    assert abs(np.mean(np.square(flat)) - 1) < 0.1


def test_flat_noise_goes_on_from_any_frame_and_begins_again():
    whole = flat_noise(tf.constant([0]), NOISE_FRAMES + 30, HOP, FRAME)[0]
    np.testing.assert_array_equal(whole[NOISE_FRAMES:], whole[:30])
    first = tf.constant([7, NOISE_FRAMES + 20, 2**30])
    parts = flat_noise(first, 15, HOP, FRAME)
    for part, start in zip(parts, first.numpy() % NOISE_FRAMES, strict=True):
        np.testing.assert_array_equal(part, whole[start : start + 15])
