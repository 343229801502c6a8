"""TFLite models, and what is said of them."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfspeech import export, train
from tfspeech.errors import RunError
from tfspeech.serving.description import read_description
from tfspeech.serving.lite import (
    convert,
    load_lite,
    select_operations,
    summarize,
    write_lite,
)
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.tasks.runs import load_task

HAS_FLEX = tuple(map(int, tf.__version__.split(".")[:2])) < (2, 20)
needs_flex = pytest.mark.skipif(not HAS_FLEX, reason="this TensorFlow has no Flex")


def noise(samples):
    waveform = np.random.default_rng(samples).normal(size=(1, samples))
    return waveform.astype(np.float32) * 0.1


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return export.run(small_run, folder, tflite=True, quantize="int8")


def test_a_lite_recogniser_says_what_the_python_model_says(exported, small_run):
    model = (exported / "rnn_recognizer_float32.tflite").read_bytes()
    assert select_operations(model) == []
    recognize = load_lite(model)
    _, task = load_task(small_run)
    for samples in (1, 800, 4321):
        scores = task.recognize(noise(samples), [samples])
        found = recognize(waveform=noise(samples))["scores"]
        np.testing.assert_allclose(found, scores, atol=1e-4)


def test_what_quantization_costs_is_measured_on_the_test_split(exported, small_run):
    described = read_description(exported)["tflite"]
    assert set(described) == {"float32", "int8"}
    config, task = load_task(small_run)
    data = config.read_data(split="test")
    indices = data.corpus.indices("test")
    targets = data.targets(indices)
    for kind, found in described.items():
        model = (exported / found["file"]).read_bytes()
        assert found["bytes"] == len(model)
        recognize = load_lite(model)
        chosen = [
            recognize(waveform=data.store[i][np.newaxis])["scores"].argmax()
            for i in indices
        ]
        assert found["accuracy"] == np.mean(chosen == targets)
        assert found["utterances"] == len(indices)
        assert found["select_operations"] == []
        assert f"{kind}.tflite: {len(model):,} bytes" in summarize(found)
        assert "builtin" in summarize(found)
    scores = task.evaluate_split(data, "test")
    assert described["int8"]["float_accuracy"] == scores["accuracy"]
    assert described["int8"]["bytes"] < described["float32"]["bytes"]


@needs_flex
def test_the_command_says_what_a_lite_synthesiser_is_worth(
    small_voice, tmp_path, command
):
    code, out, errors = command(
        *(export.main, small_voice, "--output", tmp_path),
        *("--quantize", "float16", "--json"),
    )
    assert (code, errors) == (0, [])
    found = json.loads(out.splitlines()[-1])["tflite"]["float16"]
    # Rounded weights move frames of an untrained model by little.
    assert 0 < found["difference_db"] < 1
    assert found["mcd_db"] == pytest.approx(found["float_mcd_db"], abs=0.5)
    assert found["duration_ratio"] == pytest.approx(1, abs=0.1)
    assert found["sentences"] == 4
    assert summarize(found) in out.splitlines()
    assert "Flex delegate for TensorList" in summarize(found)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(
    ("run_name", "select"),
    [
        pytest.param(
            "small_voice",
            ["TensorListReserve", "TensorListSetItem", "TensorListStack"],
            marks=needs_flex,
        ),
        ("small_dense", []),
        ("small_parallel", []),
    ],
)
def test_a_lite_synthesiser_predicts_the_frames_of_the_python_model(
    run_name, select, request
):
    _, task = load_task(request.getfixturevalue(run_name))
    lite = task.lite()
    model = convert(lite, "float32")
    assert select_operations(model) == select
    speak = load_lite(model)
    for text in ("the red box.", "a"):
        frames = speak(**lite.inputs(text))["frames"][0]
        (speech,) = task.speak([text])
        np.testing.assert_allclose(frames, speech.frames, atol=1e-3)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.skipif(HAS_FLEX, reason="this TensorFlow has Flex")
def test_without_flex_the_command_names_the_operations(small_voice, tmp_path, command):
    flags = ("--output", tmp_path, "--quantize", "float16")
    code, _, errors = command(export.main, small_voice, *flags)
    (line,) = errors
    assert code == 2
    assert "no Flex delegate to run TensorListReserve, TensorListSetItem" in line


def test_a_model_without_a_lite_form_is_one_clear_line(tmp_path):
    config = default_config("rnn_recognizer")
    task = SimpleNamespace(lite=lambda: None)
    with pytest.raises(RunError, match="rnn_recognizer has no TFLite form"):
        write_lite(tmp_path, config, task, ["int8"])


def test_what_cannot_be_converted_is_one_clear_line():
    class InPython(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1], tf.float32)])
        def function(self, values):
            return tf.py_function(lambda x: x, [values], tf.float32)

    with pytest.raises(RunError, match=r"cannot convert .*EagerPyFunc"):
        convert(InPython(), "float32")


def recogniser(architecture, features):
    base = default_config("rnn_recognizer")
    return dataclasses.replace(
        base,
        labels=("yes", "no"),
        features=dataclasses.replace(base.features, sample_rate_hz=8000, **features),
        architecture=dataclasses.replace(base.architecture, units=8, **architecture),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "features"),
    [
        ({"cell": "lstm", "layers": 2}, {"features": "log_mel", "trim_db": 0.0}),
        ({"cell": "elman", "pooling": "mean"}, {"delta_order": 2}),
        ({"pooling": "last", "tied_convolutions": True}, {"features": "mel"}),
        (
            {"bidirectional": False, "conv_layers": 0},
            {"features": "spectrogram", "utterance_normalization": "mean_variance"},
        ),
    ],
)
def test_all_recognisers_need_builtin_operations_alone(architecture, features):
    lite = build_task(recogniser(architecture, features)).lite()
    for kind, tolerance in (("float32", 1e-4), ("float16", 0.02), ("int8", 0.2)):
        model = convert(lite, kind)
        assert select_operations(model) == []
        found = load_lite(model)(waveform=noise(3000))["scores"]
        np.testing.assert_allclose(
            found, lite.function(noise(3000))["scores"], atol=tolerance
        )


@pytest.mark.slow
def test_int8_keeps_the_accuracy_on_fsdd_at_a_third_of_the_size(speech_data, tmp_path):
    flags = ["--data", f"fsdd:{speech_data / 'fsdd'}", "--synthetic-per-label", "0"]
    config, *_ = train.parse(flags)
    train.run(config, tmp_path / "run")
    version = export.run(tmp_path / "run", tmp_path / "models", quantize="int8")
    found = read_description(version)["tflite"]["int8"]
    assert found["utterances"] == 200
    assert found["accuracy"] >= found["float_accuracy"] - 0.01
    assert found["bytes"] * 3 < found["float32_bytes"]
