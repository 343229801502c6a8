"""The command `list` prints all that there is."""

import dataclasses

import pytest

from tfspeech import catalogue
from tfspeech.catalogue import TOPICS, list_items
from tfspeech.data.corpora import LAYOUTS
from tfspeech.spec import build_spec
from tfspeech.strategies import CLIPPINGS, REGULARIZATIONS
from tfspeech.tasks.registry import MODELS
from tfspeech.training.optimizers import OPTIMIZERS, SCHEDULES


@pytest.mark.parametrize("topic", TOPICS)
def test_every_name_has_one_line_of_documentation(topic):
    for item in list_items(topic):
        assert 10 < len(item.summary) <= 82, item
        assert item.summary[0].isupper(), item


def test_all_that_can_be_chosen_is_there():
    names = {topic: [item.name for item in list_items(topic)] for topic in TOPICS}
    assert names == {
        "strategies": [
            *(f"--clip {name}" for name in CLIPPINGS),
            *(f"--regularize {name}" for name in REGULARIZATIONS),
        ],
        "models": list(MODELS),
        "corpora": list(LAYOUTS),
        "optimizers": list(OPTIMIZERS),
        "schedules": list(SCHEDULES),
        "vocoders": ["griffin_lim", "lpc"],
    }


def test_arguments_are_those_that_a_spec_takes():
    strategies = {item.name: item for item in list_items("strategies")}
    value = strategies["--clip value"]
    assert value.arguments == "c=0.01, match=''"
    assert (
        build_spec(f"value({value.arguments})", CLIPPINGS, "x") == CLIPPINGS["value"]()
    )
    vocoders = {item.name: item.arguments for item in list_items("vocoders")}
    assert vocoders == {"griffin_lim": "iterations=32, momentum=0.99", "lpc": ""}
    models = {item.name: item.arguments for item in list_items("models")}
    for name, row in MODELS.items():
        for field in dataclasses.fields(row.architecture):
            assert f"{field.name}={field.default!r}" in models[name]


def test_the_command_prints_a_topic_or_all(command):
    code, out, errors = command(catalogue.main, "schedules")
    assert (code, errors) == (0, [])
    assert out.splitlines()[:3] == [
        "schedules:",
        "  constant",
        "      The peak rate throughout.",
    ]
    assert "  cosine(final=0.0)" in out.splitlines()
    _, out, _ = command(catalogue.main)
    assert [line[:-1] for line in out.splitlines() if line[:1].strip()] == list(TOPICS)


def test_an_unknown_topic_is_one_line(command):
    code, out, errors = command(catalogue.main, "strategy")
    assert (code, out) == (2, "")
    assert errors == [
        "error: unknown topic 'strategy' (did you mean strategies?); the known ones "
        f"are {', '.join(TOPICS)}"
    ]
