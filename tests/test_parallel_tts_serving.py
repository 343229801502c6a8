"""The exported dense synthesiser: text to waveform in TensorFlow's own operations."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech import export
from tfspeech.tasks.runs import load_task
from tfspeech.text.linguistic import encode_segments

TEXTS = ("the red box.", "The old hat, the white door!", "twenty five", "a b c?")
SPEECH = {"waveform", "waveform_length", "sample_rate_hz"}
ACOUSTIC = {"frames", "frame_length", "durations"}


@pytest.fixture(scope="module")
def served(small_dense, tmp_path_factory):
    version = export.run(small_dense, tmp_path_factory.mktemp("models"))
    return tf.saved_model.load(str(version)).signatures


@pytest.fixture(scope="module")
def task(small_dense):
    return load_task(small_dense)[1]


@pytest.mark.slow
@pytest.mark.headline
def test_the_graph_says_what_the_python_model_says(served, task):
    together = served["serving_default"](text=tf.constant(TEXTS))
    assert set(together) == SPEECH | ACOUSTIC
    for row, (text, speech) in enumerate(zip(TEXTS, task.speak(TEXTS), strict=True)):
        waveform = task.waveform(speech.frames)
        alone = served["synthesize"](text=tf.constant([text]))
        for answer, place in ((together, row), (alone, 0)):
            found = {name: value[place].numpy() for name, value in answer.items()}
            count = found["frame_length"]
            assert count == len(speech.frames)
            assert found["sample_rate_hz"] == 8000
            segments = speech.alignment.shape[1]
            np.testing.assert_array_equal(
                found["durations"][:segments], speech.alignment.sum(axis=0)
            )
            assert not found["durations"][segments:].any()
            np.testing.assert_allclose(
                found["frames"][:count], speech.frames, atol=1e-3
            )
            assert found["waveform_length"] == len(waveform)
            np.testing.assert_allclose(
                found["waveform"][: len(waveform)],
                np.clip(waveform, -1, 1),
                atol=1e-3,
            )
            assert not found["waveform"][len(waveform) :].any()


def test_rate_and_pitch_are_those_of_every_row(served, task):
    answer = served["synthesize_prosody"](
        text=tf.constant([TEXTS[0]] * 3),
        rate=tf.constant([1.0, 2.0, 0.5]),
        semitones=tf.constant([0.0, 0.0, -12.0]),
    )
    for row, (rate, semitones) in enumerate([(1.0, 0.0), (2.0, 0.0), (0.5, -12.0)]):
        (speech,) = task.speak([TEXTS[0]], rate=rate, semitones=semitones)
        assert answer["frame_length"][row] == len(speech.frames)
        found = answer["frames"][row, : len(speech.frames)]
        np.testing.assert_allclose(found, speech.frames, atol=1e-3)


def test_phonemes_of_any_word_are_spoken(served, task):
    text = "the purple unheardofword"
    symbols = task.front_end.encode(text)
    prosody = {"rate": tf.constant([2.0]), "semitones": tf.constant([3.0])}
    (speech,) = task.speak([text], rate=2.0, semitones=3.0)
    for beyond in ([], [7, -1]):
        answer = served["synthesize_phonemes"](
            symbols=np.append(symbols, beyond).astype(np.int32)[None],
            symbols_length=tf.constant([len(symbols)]),
            **prosody,
        )
        waveform = task.waveform(speech.frames).clip(-1, 1)
        np.testing.assert_allclose(answer["waveform"][0], waveform, atol=1e-3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be above 0"):
        served["synthesize_phonemes"](
            symbols=symbols[None], symbols_length=tf.constant([0]), **prosody
        )


def test_what_is_beyond_the_symbols_changes_nothing(served, task):
    segments = encode_segments(task.front_end, TEXTS[0])
    request = {
        "symbols_length": tf.constant([len(segments)]),
        "rate": tf.ones([1]),
        "semitones": tf.zeros([1]),
    }
    alone = served["acoustic"](symbols=segments[None], **request)
    for garbage in (0, 3, -7, 10_000):
        more = np.append(segments, np.full(5, garbage, np.int32))[None]
        padded = served["acoustic"](symbols=more, **request)
        np.testing.assert_array_equal(padded["frame_length"], alone["frame_length"])
        np.testing.assert_allclose(padded["frames"], alone["frames"], atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"symbols_length": [0]}, "symbols_length must be above 0"),
        ({"symbols_length": [3]}, "must not be more than the symbols"),
        ({"symbols_length": [2, 2]}, "must have as many rows"),
        ({"symbols": [[2, -4]]}, "symbols must not be negative"),
        ({"symbols": [[2, 999]]}, "symbols"),
        ({"rate": [0.0]}, "rate must be between 0.25 and 4"),
        ({"rate": [float("nan")]}, "rate must be between 0.25 and 4"),
        ({"rate": [1.0, 1.0]}, "must have as many rows"),
        ({"semitones": [25.0]}, "semitones must be between -24 and 24"),
        ({"semitones": [float("nan")]}, "semitones must be between -24 and 24"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_reason(served, changed, reason):
    request = {"symbols": [[2, 5]], "symbols_length": [2], "rate": [1.0]}
    request |= {"semitones": [0.0]} | changed
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        served["acoustic"](**{k: tf.constant(v) for k, v in request.items()})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing to say"),
        ("?!", "nothing to say"),
        ("the unheardofword box", "unheardofword"),
    ],
)
def test_texts_that_cannot_be_said_are_refused_with_the_reason(served, text, reason):
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        served["synthesize"](text=tf.constant([text]))
