import numpy as np
import pytest
import tensorflow as tf

from tfspeech.errors import SpecError, TextError
from tfspeech.text.front_end import END, TextConfig, TextFrontEnd
from tfspeech.text.linguistic import (
    FEATURES,
    MAX_DIM,
    SEGMENT_FEATURES,
    LinguisticConfig,
    encode_segments,
    frame_features,
    segment_features,
)

FRONT_END = TextFrontEnd(TextConfig(symbols="phonemes"))
TEXTS = ("Come in, old man. Is it the red door?", "Yes!", "The doors' names, one: two")


def padded(texts, extra=0):
    """Segments, lengths and durations of texts; what is padded is nonsense."""
    encoded = [encode_segments(FRONT_END, text) for text in texts]
    lengths = np.array([len(each) for each in encoded], "i4")
    symbols = np.full((len(texts), lengths.max() + extra), 40, "i4")
    durations = np.full_like(symbols, 7)
    for row, each in enumerate(encoded):
        symbols[row, : len(each)] = each
        durations[row, : len(each)] = 1 + np.arange(len(each)) * 5 % 7
        durations[row, : len(each)][each == FRONT_END.symbols.index(" ")] = 0
        durations[row, 0] = 2
    return symbols, lengths, durations


def test_segments_are_a_space_and_the_symbols_of_the_text():
    segments = encode_segments(FRONT_END, "Yes!")
    names = [FRONT_END.symbols[index] for index in segments]
    assert names == [" ", "j", "ˈɛ", "s", "!", END]
    assert segments.dtype == np.int32
    with pytest.raises(TextError):
        encode_segments(FRONT_END, "...")


def test_padding_and_neighbours_in_the_batch_change_nothing():
    together = padded(TEXTS, extra=3)
    features, frames = frame_features(*together, MAX_DIM)
    unheard = segment_features(*together[:2], MAX_DIM)
    assert features.shape == (3, frames.numpy().max(), MAX_DIM)
    for row, text in enumerate(TEXTS):
        alone = padded([text])
        one, count = frame_features(*alone, MAX_DIM)
        assert count.numpy() == frames.numpy()[row] == alone[2].sum()
        np.testing.assert_allclose(features[row, : count[0]], one[0], atol=1e-6)
        assert not np.any(features[row, count[0] :])
        length = alone[1][0]
        one = segment_features(*alone[:2], MAX_DIM)
        np.testing.assert_allclose(unheard[row, :length], one[0], atol=1e-6)
        assert not np.any(unheard[row, length:])


def test_fewer_features_are_the_first_ones_and_are_in_range():
    batch = padded(TEXTS)
    everything, _ = frame_features(*batch, MAX_DIM)
    unheard = segment_features(*batch[:2], MAX_DIM)
    assert np.abs(everything).max() <= 1
    assert np.abs(unheard).max() <= 1
    for dim in (1, 60, 128):
        np.testing.assert_array_equal(
            frame_features(*batch, dim)[0], everything[:, :, :dim]
        )
        np.testing.assert_array_equal(
            segment_features(*batch[:2], dim), unheard[:, :, :dim]
        )


def test_the_graph_of_another_shape_gives_the_same():
    compute = tf.function(
        lambda *batch: frame_features(*batch, 128)[0],
        input_signature=[
            tf.TensorSpec(shape, tf.int32)
            for shape in ([None, None], [None], [None, None])
        ],
    )
    for texts in (TEXTS, TEXTS[1:]):
        batch = padded(texts)
        np.testing.assert_allclose(
            compute(*batch), frame_features(*batch, 128)[0], atol=1e-6
        )


@pytest.mark.parametrize("dim", [0, MAX_DIM + 1])
def test_dimensions_out_of_range_are_refused(dim):
    with pytest.raises(SpecError, match=f"between 1 and {MAX_DIM}.*={dim}"):
        LinguisticConfig(linguistic_dim=dim)


def test_the_names_of_features_are_distinct():
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert len(SEGMENT_FEATURES) == MAX_DIM > 128
