"""`python -m tfspeech.train`: trains a model of the zoo and measures it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.errors import SpecError
from tfspeech.flags import DEFAULT_MODEL, model_parser, with_flags
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import check_same, has_run, load_config, read_config
from tfspeech.tasks.task import RunConfig
from tfspeech.tasks.training import train as run


def parse(arguments: Sequence[str]) -> tuple[RunConfig, Path, bool, bool]:
    """Returns configuration, run directory, whether to resume and to print JSON.

    A run that is resumed keeps its configuration; flags and `--config` may repeat it.

    Raises:
        SpecError: A flag is unknown or its value is out of range.
        RunError: The run to be resumed is of another model, or the file cannot be read.
    """
    start = _start(arguments)
    parser = model_parser(
        "tfspeech.train",
        "Trains a model, measures it and keeps the best.",
        arguments,
        _add_own,
        default=start.model,
    )
    given = parser.parse_args(arguments)
    model = getattr(given, "model", start.model)
    run_dir = getattr(given, "run_dir", Path("runs") / model)
    resume = getattr(given, "resume", False)
    config = start if model == start.model else default_config(model)
    if "config" in given:
        if model != start.model:
            raise SpecError(
                f"{given.config} is for {start.model}: leave out {model}, or --config"
            )
    elif resume and has_run(run_dir):
        config = load_config(run_dir)
        if "model" in given:
            check_same(run_dir, config, dataclasses.replace(config, model=model))
    return with_flags(config, given), run_dir, resume, getattr(given, "json", False)


def _add_own(parser: Parser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="start from the configuration in a file, such as a run's config.json or a "
        "search's best.json; flags change it",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where everything about the run is kept (default: runs/MODEL)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where the run in DIR stopped"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the scores as one JSON object"
    )


def _start(arguments: Sequence[str]) -> RunConfig:
    """What the flags change: a file, the run to be resumed, or the default recipe.

    Raises:
        RunError: The file or the run is missing or damaged.
    """
    parser = Parser("tfspeech.train", "", add_help=False)
    _add_own(parser)
    given, _ = parser.parse_known_args(arguments)
    if "config" in given:
        return read_config(given.config)
    if "resume" in given and "run_dir" in given and has_run(given.run_dir):
        return load_config(given.run_dir)
    return default_config(DEFAULT_MODEL)


def main(arguments: Sequence[str]) -> None:
    """Trains, and prints the scores and what to do with the model."""
    config, run_dir, resume, as_json = parse(arguments)
    results = run(config, run_dir, resume)
    if results:
        say(config.summarize(results))
        say(f"export it for TF Serving: python -m tfspeech.export {run_dir}")
    if as_json:
        print_json(results)


if __name__ == "__main__":
    run_command(main)
