"""Features of chunks are those of the whole."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.feature_stream import FeatureStream
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.audio.running_mean import RUNNING_FRAMES, running_mean

CAUSAL = FeatureConfig(
    sample_rate_hz=8000,
    dynamic_range_db=0.0,
    trim_db=0.0,
    utterance_normalization="running_mean",
)


def test_causal_features_are_those_that_no_later_frame_changes():
    assert CAUSAL.causal
    assert not FeatureConfig().causal
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (1, 4000)).astype("f4")
    other = noise.copy()
    other[:, 2000:] *= 30
    first, second = (
        extract_features(each, tf.constant([4000]), CAUSAL)[0]
        for each in (noise, other)
    )
    same = (2000 - CAUSAL.samples_before) // CAUSAL.hop_length
    np.testing.assert_array_equal(first[0, :same], second[0, :same])
    assert np.abs(first[0, same + 2 :] - second[0, same + 2 :]).max() > 1


def test_the_running_mean_is_that_of_all_frames_and_later_forgets():
    frames = np.random.default_rng(0).normal(3.0, 1.0, (1, 700, 2)).astype("f4")
    valid = tf.ones([1, 700, 1], tf.bool)
    means, (mean, count) = running_mean(frames, valid, tf.zeros([1, 2]), tf.zeros([1]))
    np.testing.assert_allclose(means[0, 99], frames[0, :100].mean(0), rtol=1e-4)
    wanted = frames[0, :300].mean(0)
    for values in frames[0, 300:]:
        wanted = wanted + (values - wanted) / RUNNING_FRAMES
    np.testing.assert_allclose(means[0, -1], wanted, rtol=1e-4)
    np.testing.assert_array_equal(mean, means[:, -1])
    assert count.numpy() == [RUNNING_FRAMES]


@pytest.mark.parametrize("frame_length_ms", [25.0, 5.0])
def test_rows_of_different_chunks_give_the_features_of_the_whole(frame_length_ms):
    config = FeatureConfig(
        **{**vars(CAUSAL), "frame_length_ms": frame_length_ms, "num_mels": 13}
    )
    stream = FeatureStream(config, multiple=4)
    rng = np.random.default_rng(1)
    lengths = np.array([2560, 1, 1999, 640])
    waveforms = rng.normal(0, 0.1, (4, 2560)).astype("f4")
    past = {name: tf.zeros([4, *shape]) for name, shape in stream.past_shapes.items()}
    found = [[], [], [], []]
    begun = np.zeros(4, int)
    step = tf.function(stream, reduce_retracing=True)
    for _ in range(9):
        counts = np.minimum(rng.integers(0, 700, 4), lengths - begun)
        chunk = np.full((4, 700), np.float32(9.0))
        for row, (begin, count) in enumerate(zip(begun, counts, strict=True)):
            chunk[row, :count] = waveforms[row, begin : begin + count]
        begun += counts
        no = tf.zeros([4], tf.bool)
        features, frames, past = step(chunk, tf.constant(counts, tf.int32), no, past)
        assert (frames.numpy() % 4 == 0).all()
        for row, count in enumerate(frames.numpy()):
            found[row].append(features[row, :count])
    rest = np.stack(
        [
            np.pad(w, (0, 2560))[b : b + 2560]
            for w, b in zip(waveforms, begun, strict=True)
        ]
    )
    ends = tf.constant(lengths - begun, tf.int32)
    features, frames, _ = step(rest, ends, tf.ones([4], tf.bool), past)
    whole, wanted = extract_features(waveforms, tf.constant(lengths), config)
    for row, count in enumerate(frames.numpy()):
        joined = np.concatenate([*found[row], features[row, :count]])
        assert len(joined) == wanted[row]
        np.testing.assert_allclose(joined, whole[row, : wanted[row]], atol=2e-3)
