"""Graphs that TF Serving could not run are refused with the reason."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfspeech.errors import RunError
from tfspeech.serving.graph import check_operations, check_signatures, guarded
from tfspeech.tasks.limits import Limits

WAVEFORM = tf.TensorSpec([None, None], tf.float32, "waveform")
TEXT = tf.TensorSpec([None], tf.string, "text")


def signature(function, spec):
    return tf.function(function, input_signature=[spec]).get_concrete_function()


def save(function, spec, folder):
    module = tf.Module()
    signatures = {"serving_default": signature(function, spec)}
    tf.saved_model.save(module, str(folder), signatures=signatures)


def energy(waveform):
    return {"frame_length": tf.cast(tf.reduce_sum(waveform, axis=-1), tf.int32)}


def in_python(text):
    return {"label": tf.py_function(lambda t: t, [text], tf.string)}


def in_numpy(text):
    return {"label": tf.numpy_function(lambda t: t, [text], tf.string)}


def test_tensorflows_own_operations_pass(tmp_path):
    save(energy, WAVEFORM, tmp_path)
    check_operations(tmp_path)


@pytest.mark.parametrize(
    ("function", "spec", "operation", "reason"),
    [
        (in_python, TEXT, "EagerPyFunc", "it calls Python"),
        (in_numpy, TEXT, "PyFunc", "it calls Python"),
    ],
)
def test_other_operations_are_named(function, spec, operation, reason, tmp_path):
    save(function, spec, tmp_path)
    with pytest.raises(RunError, match=f"operation {operation} .*{reason}"):
        check_operations(tmp_path)


def test_operations_of_other_libraries_are_named(tmp_path):
    save(energy, WAVEFORM, tmp_path)
    path = tmp_path / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    nodes = [
        node
        for meta_graph in proto.meta_graphs
        for function in meta_graph.graph_def.library.function
        for node in function.node_def
        if node.op == "Sum"
    ]
    nodes[0].op = "IO>AudioDecodeFlac"  # of tensorflow-io
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(RunError, match=r"IO>AudioDecodeFlac .*not TensorFlow's own"):
        check_operations(tmp_path)


def test_operations_of_a_gpu_are_named(tmp_path):
    def on_gpu(waveform):
        state = tf.zeros([1, 1, 4])
        outputs, *_ = tf.raw_ops.CudnnRNNV3(
            input=waveform[..., tf.newaxis],
            input_h=state,
            input_c=state,
            params=tf.zeros([100]),
            sequence_lengths=tf.ones([1], tf.int32),
        )
        return {"frames": outputs}

    save(on_gpu, WAVEFORM, tmp_path)
    with pytest.raises(RunError, match=r"CudnnRNNV3 .*needs a GPU"):
        check_operations(tmp_path)


@pytest.mark.parametrize(
    ("function", "spec", "name"),
    [
        (energy, tf.TensorSpec([4, None], tf.float32, "waveform"), "waveform"),
        (energy, tf.TensorSpec([None], tf.float32, "waveform"), "waveform"),
        (lambda w: {"stopped": tf.reduce_any(w > 0)}, WAVEFORM, "stopped"),
        (lambda w: {"labels": tf.constant([["a"]])}, WAVEFORM, "labels"),
    ],
)
def test_signatures_have_free_rows(function, spec, name):
    wanted = rf"'{name}' of the signature 'other' must be .*\[batch.*any number"
    with pytest.raises(RunError, match=wanted):
        check_signatures({"other": signature(function, spec)})


def test_tensors_without_a_meaning_are_refused():
    function = signature(lambda w: {"fame": w}, WAVEFORM)
    with pytest.raises(RunError, match=r"'fame'.*serving/tensors\.py"):
        check_signatures({"other": function})


@pytest.fixture(scope="module")
def open_to_all():
    """A guarded function that is given tensors as a server does: of any shape."""
    function = guarded(signature(energy, WAVEFORM), Limits())
    graph = tf.Graph()
    with graph.as_default():
        request = tf.compat.v1.placeholder(tf.float32, None)
        # The call takes what it is given for as specified, and marks it so.
        answer = function(waveform=tf.identity(request))["frame_length"]
    return graph, request, answer


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ([3], r"\[3\] is not compatible with expected shape \[\?,\?\]"),
        ([1, 2, 3], r"\[1,2,3\] is not compatible with expected shape"),
        ([], r"\[\] is not compatible with expected shape"),
        ([0, 3], r"waveform must be float32 \[batch, samples\], with at least one row"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(open_to_all, shape, reason):
    graph, request, answer = open_to_all
    with tf.compat.v1.Session(graph=graph) as session:
        fits = session.run(answer, {request: np.ones([2, 3])})
        assert fits.tolist() == [3, 3]
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            session.run(answer, {request: np.ones(shape)})


@pytest.mark.parametrize(("lengths", "fits"), [([2, 1], True), ([2], False)])
def test_inputs_have_as_many_rows_as_the_others(lengths, fits):
    specs = [WAVEFORM, tf.TensorSpec([None], tf.int32, "waveform_length")]

    def longest(waveform, waveform_length):
        return {"frame_length": tf.fill([tf.shape(waveform)[0]], waveform_length[0])}

    traced = tf.function(longest, input_signature=specs).get_concrete_function()
    request = {"waveform": tf.zeros([2, 3]), "waveform_length": tf.constant(lengths)}
    function = guarded(traced, Limits())
    if fits:
        assert function(**request)["frame_length"].numpy().tolist() == [2, 2]
        return
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match="waveform and waveform_length must have as many rows",
    ):
        function(**request)
