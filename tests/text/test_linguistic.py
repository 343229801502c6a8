# ruff: noqa: RUF001 -- IPA has letters that look like others.

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.errors import SpecError, TextError
from tfspeech.text.front_end import END, TextConfig, TextFrontEnd, pad_symbols
from tfspeech.text.linguistic import (
    FEATURES,
    MAX_DIM,
    SEGMENT_FEATURES,
    LinguisticConfig,
    encode_segments,
    frame_features,
    prepend_space,
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


def test_a_graph_prepends_the_space_that_segments_begin_with():
    encoded = [FRONT_END.encode(text) for text in TEXTS]
    symbols, lengths = pad_symbols(encoded)
    segments, counts = prepend_space(tf.constant(symbols), tf.constant(lengths))
    assert segments.dtype == counts.dtype == tf.int32
    for row, count, text in zip(segments.numpy(), counts, TEXTS, strict=True):
        np.testing.assert_array_equal(row[:count], encode_segments(FRONT_END, text))
        assert not row[count:].any()
    # What is out of range stays so, for checks that come after.
    _, counts = prepend_space(symbols, tf.constant([-1, 0, 3]))
    np.testing.assert_array_equal(counts, [-1, 0, 4])


def test_segments_of_a_pronunciation_that_is_known():
    segments = encode_segments(FRONT_END, "Yes!", [["n", "ˈoʊ"]])
    names = [FRONT_END.symbols[index] for index in segments]
    assert names == [" ", "n", "ˈoʊ", "!", END]


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


def column(name, text):
    """One feature of the segments of a text."""
    symbols, lengths, _ = padded([text])
    index = [feature.name for feature in SEGMENT_FEATURES].index(name)
    values = segment_features(symbols, lengths, index + 1)[0, :, index]
    return [round(float(value), 3) for value in values]


def test_what_features_say_of_segments():
    # In the order of the symbols: " n ˈoʊ , " and " " and "m ˈæ ɾ ɚ z ? <end>".
    text = "No, matters?"
    names = [FRONT_END.symbols[index] for index in encode_segments(FRONT_END, text)]
    assert "".join(names[:-1]) == " nˈoʊ, mˈæɾɚz?"
    third, half = 0.333, 0.5
    for name, first_phrase, second_phrase in (
        ("phone_n", [0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]),
        ("phone_æ", [0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]),
        ("vowel", [0, 0, 1, 0], [0, 0, 1, 0, 1, 0, 0, 0]),
        ("primary", [0, 1, 1, 0], [0, 1, 1, 0, 0, 0, 0, 0]),
        ("primary_before", [0, 0, 0, 0], [0, 1, 1, 1, 1, 1, 0, 0]),
        ("primary_after", [0, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0]),
        ("nucleus", [1, 1, 1, 0], [1, 1, 1, 0, 0, 0, 0, 0]),
        ("tail", [0, 0, 0, 1], [0, 0, 0, 1, 1, 1, 1, 1]),
        ("from_nucleus", [0, 0, 0, third], [0, 0, 0, *[third] * 3, half, half]),
        ("accents_before", [0, 0, 0, third], [0, 0, 0, *[third] * 5]),
        ("accents_after", [third, third, 0, 0], [third, third, *[0] * 6]),
        ("syllables_before", [0, 0, 0, 0.2], [0, 0, 0, 0.2, 0.2, 0.2, third, third]),
        ("syllable_share", [0, 0, 0, 1], [0, 0, 0, half, half, half, 1, 1]),
        ("ends_with_comma", [1] * 4, [0] * 8),
        ("ends_with_question", [0] * 4, [1] * 8),
        ("first_in_word", [0, 1, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]),
        ("last_in_word", [0, 0, 1, 0], [0, 0, 0, 0, 0, 1, 0, 0]),
        ("last_phrase", [0] * 4, [1] * 8),
        ("left_pause", [1, 1, 0, 0], [1, 1, 0, 0, 0, 0, 0, 1]),
        ("left_nasal", [0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0, 0]),
        ("right_vowel", [0, 1, 0, 0], [0, 1, 0, 1, 0, 0, 0, 0]),
        # The comma is a neighbour, the space after it is none.
        ("right_nasal", [1, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0]),
        ("right_2_nasal", [0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0]),
    ):
        assert column(name, text) == first_phrase + second_phrase, name


def test_the_weaker_stress_is_the_accent_where_there_is_no_other():
    # "The" and "of" have no stress at all; "you" and "are" neither.
    assert sum(column("nucleus", "of the")) == 3
    assert sum(column("nucleus", "of the, man!")) > 3


def test_what_features_say_of_frames():
    symbols, lengths, _ = padded(["No, man"])
    names = [FRONT_END.symbols[index] for index in symbols[0]]
    assert "".join(names[:-1]) == " nˈoʊ, mˈæn"
    # The comma is no pause here, so that the vowel is the neighbour of the "m".
    durations = np.array([[1, 2, 4, 0, 0, 2, 3, 1, 2]], "i4")
    features, frames = frame_features(symbols, lengths, durations, 128)
    assert frames.numpy().tolist() == [15]
    values = {f.name: features[0, :, i].numpy() for i, f in enumerate(FEATURES[:128])}
    vowel = slice(3, 7)
    fraction = np.array([0.125, 0.375, 0.625, 0.875])
    for name, centre in (("at_start", 0), ("at_middle", 0.5), ("at_end", 1)):
        expected = np.maximum(1 - 4 * np.abs(fraction - centre), 0)
        np.testing.assert_allclose(values[name][vowel], expected)
    elapsed = np.array([0.5, 1.5, 2.5, 3.5])
    for name, expected in (
        ("since_start", np.exp(-elapsed / 2)),
        ("long_until_end", np.exp(-elapsed[::-1] / 5)),
        ("duration", np.full(4, 4 / 12)),
        ("near_left_nasal", np.exp(-elapsed / 2.5)),
        ("near_right_nasal", np.exp(-elapsed[::-1] / 2.5)),
        ("near_right_pause", np.zeros(4)),
        ("phrase_time", (3.5 + np.arange(4)) / 7),
    ):
        np.testing.assert_allclose(values[name][vowel], expected, atol=1e-6)
    assert values["near_left_vowel"][7] == pytest.approx(np.exp(-0.5 / 2.5))
    assert values["near_left_pause"][1] == pytest.approx(np.exp(-0.5 / 2.5))
    assert values["phone_oʊ"].tolist() == [0] * 3 + [1] * 4 + [0] * 8
    assert not np.any(values["burst"])


def test_an_utterance_may_have_no_frames():
    symbols, lengths, durations = padded(["No", "Yes"])
    durations[0] = 0
    features, frames = frame_features(symbols, lengths, durations, 128)
    assert frames.numpy()[0] == 0 < frames.numpy()[1]
    assert not np.any(features[0])


def described(features):
    """The rows of the table in the documentation."""
    numbered = enumerate(features, 1)
    for (text, timed), run in itertools.groupby(
        numbered, lambda pair: (pair[1].description, pair[1].timed)
    ):
        run = list(run)
        (first, one), (last, other) = run[0], run[-1]
        numbers = f"{first}" if first == last else f"{first} to {last}"
        names = f"`{one.name}`" if first == last else f"`{one.name}` ... `{other.name}`"
        yield f"| {numbers} | {names} | {text} | {'yes' if timed else ''} |"


def test_the_documentation_has_the_table():
    page = Path(__file__).parents[2] / "docs" / "linguistic_features.md"
    rows = [line for line in page.read_text().splitlines() if re.match(r"\| \d", line)]
    expected = list(described(FEATURES))
    assert rows == expected, "the table must be:\n" + "\n".join(expected)
