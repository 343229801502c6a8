"""Files beside the graph: warm-up requests, labels and a description."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tfspeech import export
from tfspeech.errors import RunError
from tfspeech.serving.description import LABELS_FILE, read_description
from tfspeech.serving.settings import MODELS_FILE
from tfspeech.serving.warmup import read_warmup, write_warmup
from tfspeech.tasks.registry import MODELS

RUNS = {
    "attention_tts": "small_voice",
    "ctc_recognizer": "small_transcriber",
    "dense_synthesis": "small_dense",
    "hmm_recognizer": "small_hmm",
    "hybrid_recognizer": "small_hybrid",
    "parallel_tts": "small_parallel",
    "frame_gan": "small_generator",
    "gan_vocoder": "small_gan",
    "rnn_recognizer": "small_run",
    "source_filter": "small_vocoder",
    "wavenet": "small_wavenet",
}
"""Model -> fixture of a run."""


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    run_dir = request.getfixturevalue(RUNS[request.param])
    return export.run(run_dir, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(str(exported)).signatures


def _answers(exported, served):
    """The warm-up requests with what is answered to them."""
    for request in read_warmup(exported):
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        inputs = {k: tf.constant(v) for k, v in inputs.items()}
        yield request, served[request.model_spec.signature_name](**inputs)


@pytest.mark.slow
@pytest.mark.headline
def test_every_signature_is_warmed_up_with_requests_that_it_answers(exported, served):
    sizes = collections.defaultdict(list)
    for request, answer in _answers(exported, served):
        assert request.model_spec.name == exported.parent.name
        (rows,) = {v.tensor_shape.dim[0].size for v in request.inputs.values()}
        assert {value.shape[0] for value in answer.values()} == {rows}
        sizes[request.model_spec.signature_name].append(rows)
    assert dict(sizes) == {name: [1, 16] for name in served}


@pytest.mark.slow
@pytest.mark.headline
def test_every_signature_refuses_requests_without_rows(exported, served):
    for request in read_warmup(exported):
        inputs = {k: tf.make_ndarray(v)[:0] for k, v in request.inputs.items()}
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="with at least one row"
        ):
            served[request.model_spec.signature_name](
                **{k: tf.constant(v) for k, v in inputs.items()}
            )


@pytest.mark.slow
@pytest.mark.headline
def test_all_inputs_and_outputs_are_described(exported, served):
    described = read_description(exported)
    assert described["model"] == exported.parent.name
    assert described["sample_rate_hz"] == 8000
    assert set(described["signatures"]) == set(served)
    for name, function in served.items():
        specs = {
            "inputs": function.structured_input_signature[1],
            "outputs": function.structured_outputs,
        }
        for side, tensors in described["signatures"][name].items():
            assert set(tensors) == set(specs[side])
            for key, tensor in tensors.items():
                assert tensor["dtype"] == specs[side][key].dtype.name
                assert len(tensor["shape"]) == specs[side][key].shape.rank
                assert tensor["meaning"]


@pytest.mark.slow
@pytest.mark.headline
def test_labels_are_in_the_order_of_the_scores(exported, served):
    described = read_description(exported)
    assert (exported / LABELS_FILE).is_file() == ("labels" in described)
    if "labels" in described:
        _, answer = next(_answers(exported, served))
        labels = [label.decode() for label in answer["labels"][0].numpy()]
        assert (exported / LABELS_FILE).read_text().splitlines() == labels
        assert described["labels"] == labels


@pytest.mark.slow
@pytest.mark.headline
def test_the_model_is_listed_for_a_server(exported):
    listed = (exported.parent.parent / MODELS_FILE).read_text()
    assert f'base_path: "/models/{exported.parent.name}"' in listed


def test_a_damaged_list_of_models_stops_an_export_before_its_work(small_run, tmp_path):
    (tmp_path / MODELS_FILE).write_text("models: a, b")
    with pytest.raises(RunError, match="is no ModelServerConfig"):
        export.run(small_run, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {MODELS_FILE, ".lock"}


def test_an_example_that_fails_is_named(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "symbols_length")])
    def positive(symbols_length):
        check = tf.debugging.assert_positive(symbols_length, "too short")
        with tf.control_dependencies([check]):
            return {"frame_length": symbols_length + 1}

    function = positive.get_concrete_function()
    folder = tmp_path / "model"
    folder.mkdir()
    example = {"symbols_length": np.zeros(1, np.int32)}
    for examples, reason in (
        ({"speak": example}, "refuses the example of its signature 'speak'.*too short"),
        ({}, "has no example for its signature 'speak'"),
    ):
        with pytest.raises(RunError, match=reason):
            write_warmup(folder, "model", {"speak": function}, examples, (1,))
