"""`python -m tfspeech.catalogue`: lists what can be chosen by name.

That is strategies, models, corpora, optimizers, schedules and vocoders, each with its
arguments, their defaults and the first line of its own documentation.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.console import Parser, run_command
from tfspeech.data.corpora import LAYOUTS
from tfspeech.errors import SpecError
from tfspeech.spec import unknown, usage
from tfspeech.strategies import CLIPPINGS, REGULARIZATIONS
from tfspeech.tasks.attention_tts.task import vocoders
from tfspeech.tasks.registry import MODELS
from tfspeech.training.optimizers import OPTIMIZERS, SCHEDULES


class Item(NamedTuple):
    """Something that can be chosen by name.

    Attributes:
        name: As it is written.
        arguments: With their defaults, as they are written; of a model the flags.
        summary: What it is or does, in a line.
    """

    name: str
    arguments: str
    summary: str


def list_items(topic: str) -> list[Item]:
    """Lists what can be chosen.

    Args:
        topic: One of `TOPICS`.
    """
    return list(TOPICS[topic]())


def _strategies() -> Iterator[Item]:
    for flag, table in (("clip", CLIPPINGS), ("regularize", REGULARIZATIONS)):
        for item in _specs(table):
            yield item._replace(name=f"--{flag} {item.name}")


def _models() -> Iterator[Item]:
    for name, row in MODELS.items():
        yield Item(name, usage(row.architecture), _summary(row.architecture))


def _corpora() -> Iterator[Item]:
    for name, load in LAYOUTS.items():
        yield Item(name, "", _summary(inspect.getmodule(load)))


def _vocoders() -> Iterator[Item]:
    # The frames are those of the model; a spec has what follows them.
    return _specs(vocoders(AcousticConfig()))


def _specs(table: Mapping[str, Callable[..., Any]]) -> Iterator[Item]:
    for name, build in table.items():
        yield Item(name, usage(build), _summary(build))


def _summary(documented: Any) -> str:
    """The first line of a docstring."""
    function = getattr(documented, "func", documented)
    return (inspect.getdoc(function) or "").partition("\n")[0]


TOPICS: Mapping[str, Callable[[], Iterator[Item]]] = {
    "strategies": _strategies,
    "models": _models,
    "corpora": _corpora,
    "optimizers": lambda: _specs(OPTIMIZERS),
    "schedules": lambda: _specs(SCHEDULES),
    "vocoders": _vocoders,
}
"""Topics that can be listed."""


def main(arguments: Sequence[str]) -> None:
    """Prints a topic, or all of them.

    Raises:
        SpecError: There is no such topic.
    """
    parser = Parser("list", "Lists what can be chosen by name.")
    parser.add_argument(
        "topic",
        nargs="?",
        metavar="TOPIC",
        help=f"one of {', '.join(TOPICS)} (default: all)",
    )
    topic = getattr(parser.parse_args(arguments), "topic", None)
    if topic is not None and topic not in TOPICS:
        raise SpecError(unknown("topic", topic, TOPICS))
    for each in TOPICS if topic is None else [topic]:
        print(f"{each}:")
        for item in list_items(each):
            call = f"{item.name}({item.arguments})" if item.arguments else item.name
            print(textwrap.indent(textwrap.fill(call, subsequent_indent="    "), "  "))
            print(f"      {item.summary}")
        print()


if __name__ == "__main__":
    run_command(main)
