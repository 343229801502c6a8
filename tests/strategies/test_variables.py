import keras
import numpy as np
import pytest

from models import RnnRecognizer, RnnRecognizerConfig
from tfspeech.errors import SpecError
from tfspeech.strategies import describe_variables
from tfspeech.tasks.registry import MODELS


@pytest.fixture(scope="module")
def infos():
    model = RnnRecognizer(RnnRecognizerConfig(units=8, conv_filters=6), 40, 10)
    return {info.path.partition("/")[2]: info for info in describe_variables(model)}


@pytest.mark.parametrize("name", MODELS)
def test_every_trainable_variable_is_described_in_order(name):
    entry = MODELS[name]
    sizes = {"parallel_tts": (9, 20, 3), "frame_gan": (20,)}.get(name, (20, 3))
    model = entry.model(entry.architecture(), *sizes)
    infos = describe_variables(model)
    assert [i.path for i in infos] == [v.path for v in model.trainable_variables]
    assert [i.shape for i in infos] == [
        tuple(v.shape) for v in model.trainable_variables
    ]
    assert len({info.path for info in infos}) == len(infos)
    assert any(info.output for info in infos)
    assert not all(info.output for info in infos)


def test_fan_in_counts_what_leads_into_a_unit(infos):
    conv = infos["conv_0/conv/kernel"]
    assert (conv.kind, conv.unit_axes, conv.fan_in) == ("kernel", (0, 1), 5 * 40)
    cell = next(v for k, v in infos.items() if k.endswith("recurrent_kernel"))
    assert (cell.kind, cell.unit_axes, cell.fan_in) == ("recurrent_kernel", (0,), 8)
    assert infos["classifier/kernel"].fan_in == 16


def test_a_bias_has_the_fan_in_of_its_kernel(infos):
    bias = infos["conv_0/conv/bias"]
    assert (bias.kind, bias.unit_axes, bias.fan_in) == ("bias", (), 5 * 40)
    assert infos["classifier/bias"].fan_in == 16


def test_normalisation_is_told_from_kernels(infos):
    assert infos["conv_norm_0/gamma"].kind == "norm"
    assert infos["conv_norm_0/beta"].kind == "norm"
    assert infos["conv_norm_0/gamma"].fan_in == 1


def test_all_know_the_input_dimension(infos):
    assert {info.input_dim for info in infos.values()} == {40}


def test_output_layers_are_known(infos):
    outputs = {path for path, info in infos.items() if info.output}
    assert outputs == {"classifier/kernel", "classifier/bias"}


def test_sizes_and_initial_variances_are_those_of_the_values(infos):
    kernel = infos["conv_0/conv/kernel"]
    assert kernel.size == 5 * 40 * 6
    glorot = 2 / (5 * 40 + 5 * 6)
    assert kernel.initial_variance == pytest.approx(glorot, rel=0.1)
    # Biases start at zero and normalisation at one: there is no variance to measure.
    assert infos["classifier/bias"].initial_variance == pytest.approx(1 / 16)
    assert infos["conv_norm_0/gamma"].initial_variance == 1.0


class Declared(keras.layers.Layer):
    """A layer of our own whose layout no name of Keras tells."""

    unit_axes = {"weights_of_units": (1,)}  # noqa: RUF012

    def build(self, input_shape):
        self.table = self.add_weight(shape=(3, 7), name="weights_of_units")


LAYERS = {
    "dense": (keras.layers.Dense(3), (2, 6), {"kernel": ((0,), 6), "bias": ((), 6)}),
    "conv": (
        keras.layers.Conv1D(4, 3),
        (1, 9, 6),
        {"kernel": ((0, 1), 18), "bias": ((), 18)},
    ),
    "transposed": (
        keras.layers.Conv1DTranspose(4, 3),
        (1, 9, 6),
        {"kernel": ((0, 2), 18), "bias": ((), 18)},
    ),
    "depthwise": (
        keras.layers.DepthwiseConv1D(5, depth_multiplier=2),
        (1, 9, 6),
        {"kernel": ((0,), 5), "bias": ((), 5)},
    ),
    "separable": (
        keras.layers.SeparableConv1D(4, 5),
        (1, 9, 6),
        {
            "depthwise_kernel": ((0,), 5),
            "pointwise_kernel": ((0, 1), 6),
            "bias": ((), 6),
        },
    ),
    "einsum": (
        keras.layers.EinsumDense("abcd,cde->abe", (9, 4), bias_axes="e"),
        (1, 9, 2, 3),
        {"kernel": ((0, 1), 6), "bias": ((), 6)},
    ),
    "embedding": (keras.layers.Embedding(11, 5), (1, 4), {"embeddings": ((1,), 5)}),
    "gru": (
        keras.layers.GRU(4),
        (1, 9, 6),
        {"kernel": ((0,), 6), "recurrent_kernel": ((0,), 4), "bias": ((), 6)},
    ),
    "normalization": (
        keras.layers.LayerNormalization(),
        (1, 6),
        {"gamma": ((), 1), "beta": ((), 1)},
    ),
    "declared": (Declared(), (1, 6), {"weights_of_units": ((1,), 7)}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_axes_of_a_unit_follow_the_layout_of_its_layer(name):
    layer, shape, wanted = LAYERS[name]

    class Holder(keras.Model):
        """Holds layers in a list in a dictionary, and one of them as output too."""

        def __init__(self):
            super().__init__()
            self.parts = {"all": [layer]}
            self.output_layers = [layer]

    layer.build(shape)
    found = {
        info.path.rpartition("/")[2]: (info.unit_axes, info.fan_in)
        for info in describe_variables(Holder())
    }
    assert found == wanted
    assert all(info.output for info in describe_variables(Holder()))


def test_all_heads_of_an_attention_are_counted():
    attention = keras.layers.MultiHeadAttention(num_heads=2, key_dim=3)
    attention.build((1, 5, 8), (1, 5, 8))
    model = keras.Sequential([attention])
    infos = {
        "/".join(info.path.split("/")[-2:]): info for info in describe_variables(model)
    }
    assert infos["query/kernel"].fan_in == 8
    assert infos["attention_output/kernel"].fan_in == 2 * 3
    assert infos["attention_output/bias"].fan_in == 2 * 3
    assert np.prod(infos["query/kernel"].shape) == 8 * 2 * 3


def make_network(name, feature_dim):
    hidden = keras.layers.Dense(3, name="hidden")
    model = keras.Sequential([keras.Input((feature_dim,)), hidden], name=name)
    model.feature_dim = feature_dim
    return model


def test_several_models_are_described_one_after_the_other():
    first, second = make_network("first", 40), make_network("second", 20)
    infos = describe_variables(first, second)
    assert infos == [*describe_variables(first), *describe_variables(second)]
    assert [info.input_dim for info in infos] == [40, 40, 20, 20]


def test_variables_of_one_path_are_refused():
    first, second = make_network("net", 40), make_network("net", 20)
    with pytest.raises(SpecError, match=r"different names.*net/hidden/kernel"):
        describe_variables(first, second)
    with pytest.raises(SpecError, match="more than once"):
        describe_variables(first, first)
