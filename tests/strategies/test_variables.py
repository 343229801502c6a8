import pytest

from models import CATALOGUE, RnnRecognizer, RnnRecognizerConfig
from tfspeech.strategies import describe_variables


@pytest.fixture(scope="module")
def infos():
    model = RnnRecognizer(RnnRecognizerConfig(units=8, conv_filters=6), 40, 10)
    return {info.path.partition("/")[2]: info for info in describe_variables(model)}


def test_every_trainable_variable_is_described_in_order():
    for model_class, config_class in CATALOGUE.values():
        model = model_class(config_class(), 20, 3)
        paths = [info.path for info in describe_variables(model)]
        assert paths == [v.path for v in model.trainable_variables]


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
