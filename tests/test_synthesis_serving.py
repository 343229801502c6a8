"""The exported synthesiser, called in a process that imports nothing of ours."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from models import AttentionTts, AttentionTtsConfig
from tfspeech import export
from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.tasks.attention_tts.task import (
    AttentionSynthesis,
    AttentionSynthesisConfig,
)
from tfspeech.tasks.runs import load_task
from tfspeech.text.front_end import TextConfig, TextFrontEnd

TEXTS = ("the red box.", "a", "the white door, the old hat, and the bird.")

CLIENT = """
    import sys
    import numpy as np
    import tensorflow as tf

    folder, response, *texts = sys.argv[1:]
    model = tf.saved_model.load(folder)
    answers = {}
    for name, batch in {"all": texts, **{t: [t] for t in texts}}.items():
        answer = model.signatures["serving_default"](text=tf.constant(batch))
        answers |= {f"{name}/{key}": value.numpy() for key, value in answer.items()}
    ours = {"tfspeech", "models", "tensorflow_io"} & set(sys.modules)
    assert not ours, ours
    np.savez(response, **answers)
"""


@pytest.fixture(scope="module")
def exported(small_voice, tmp_path_factory):
    return export.run(small_voice, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(str(exported)).signatures


@pytest.mark.slow
@pytest.mark.headline
def test_another_process_hears_what_the_python_model_says(
    exported, small_voice, tmp_path
):
    response = tmp_path / "response.npz"
    client = [sys.executable, "-c", textwrap.dedent(CLIENT), exported, response]
    done = subprocess.run(
        [*client, *TEXTS], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    answers = np.load(response)
    config, task = load_task(small_voice)
    for row, (text, speech) in enumerate(zip(TEXTS, task.speak(TEXTS), strict=True)):
        waveform = task.waveform(speech.frames)
        for name, place in (("all", row), (text, 0)):
            answer = {key: answers[f"{name}/{key}"][place] for key in KEYS}
            count = answer["frame_length"]
            assert count == len(speech.frames)
            assert answer["stopped"] == speech.stopped
            assert answer["sample_rate_hz"] == 8000
            np.testing.assert_allclose(
                answer["frames"][:count], speech.frames, atol=1e-3
            )
            np.testing.assert_array_equal(answer["mel"], answer["frames"][:, :16])
            steps, symbols = speech.alignment.shape
            found = answer["alignment"][:steps, :symbols]
            np.testing.assert_allclose(found, speech.alignment, atol=1e-4)
            assert answer["waveform_length"] == len(waveform)
            assert not answer["waveform"][len(waveform) :].any()
            # Griffin-Lim turns rounding errors into other phases of the same sound.
            heard, wanted = (
                acoustic_frames(w[None], [len(waveform)], config.features)[0]
                for w in (answer["waveform"][: len(waveform)], waveform)
            )
            assert np.abs(heard - wanted).mean() < 0.05


KEYS = (
    *("waveform", "waveform_length", "sample_rate_hz"),
    *("mel", "frames", "frame_length", "alignment", "stopped"),
)


def test_signatures_are_named_and_free_in_batch_and_length(served):
    assert set(served) == {
        *("serving_default", "synthesize", "acoustic", "symbol_table", "limits")
    }
    for name in ("serving_default", "synthesize"):
        (text,) = served[name].structured_input_signature[1].values()
        assert (text.name, text.shape.as_list(), text.dtype) == (
            *("text", [None]),
            tf.string,
        )
        outputs = served[name].structured_outputs
        assert set(outputs) == set(KEYS)
        assert outputs["waveform"].shape.as_list() == [None, None]
        assert all(spec.shape[0] is None for spec in outputs.values())
    inputs = served["acoustic"].structured_input_signature[1]
    assert inputs["symbols"].shape.as_list() == [None, None]
    assert inputs["symbols_length"].shape.as_list() == [None]
    assert set(served["acoustic"].structured_outputs) == set(KEYS[3:])


def test_what_is_beyond_the_symbols_changes_nothing(served):
    encoded = TextFrontEnd().encode(TEXTS[0])
    length = tf.constant([len(encoded)])
    alone = served["acoustic"](symbols=encoded[None], symbols_length=length)
    for garbage in (0, 3, -7, 10_000):
        more = np.append(encoded, np.full(5, garbage, np.int32))[None]
        padded = served["acoustic"](symbols=more, symbols_length=length)
        np.testing.assert_array_equal(padded["frame_length"], alone["frame_length"])
        np.testing.assert_allclose(padded["mel"], alone["mel"], atol=1e-4)
        np.testing.assert_allclose(
            padded["alignment"][:, :, : len(encoded)], alone["alignment"], atol=1e-5
        )


@pytest.mark.parametrize(
    ("symbols", "lengths", "reason"),
    [
        ([[3, 4]], [0], "symbols_length must be above 0"),
        ([[3, 4]], [3], "symbols_length must not be more than the symbols"),
        ([[3, 4]], [2, 2], "must have as many rows"),
        ([[3, -4]], [2], "symbols must not be negative"),
        ([[3, 99]], [2], "there are 37 symbols"),
    ],
)
def test_symbols_that_do_not_fit_are_refused_with_the_reason(
    served, symbols, lengths, reason
):
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        served["acoustic"](
            symbols=tf.constant(symbols), symbols_length=tf.constant(lengths)
        )


@pytest.mark.parametrize("text", ["", "  ", "日本"])
def test_a_text_without_anything_to_say_is_refused_with_the_reason(served, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match="nothing to say"):
        served["synthesize"](text=tf.constant([text]))


@pytest.mark.slow
@pytest.mark.headline
def test_models_of_phonemes_leave_only_the_reading_to_the_client(tmp_path):
    front_end = TextFrontEnd(TextConfig("phonemes"))
    features = AcousticConfig(sample_rate_hz=8000, num_mels=16)
    architecture = AttentionTtsConfig(
        encoder="lstm", encoder_layers=1, encoder_units=8, attention_units=8,
        decoder_units=8, prenet_units=8,
    )  # fmt: skip
    model = AttentionTts(architecture, len(front_end.symbols), features.frame_dim)
    task = AttentionSynthesis(model, AttentionSynthesisConfig(), features, front_end)
    server = task.server()
    tf.saved_model.save(server, str(tmp_path), signatures=server.signatures)
    served = tf.saved_model.load(str(tmp_path)).signatures
    speaking = {"serving_default", "synthesize_phonemes", "acoustic"}
    assert set(served) == speaking | {"symbol_table"}
    (speech,) = task.speak(["the red box."])
    symbols = tf.constant(front_end.encode("the red box."))[tf.newaxis]
    for name in speaking:
        answer = served[name](symbols=symbols, symbols_length=[symbols.shape[1]])
        np.testing.assert_allclose(answer["frames"][0], speech.frames, atol=1e-4)
    waveform = served["serving_default"](
        symbols=symbols, symbols_length=[symbols.shape[1]]
    )["waveform"][0]
    assert len(waveform) == len(task.waveform(speech.frames))
