"""`python -m tfspeech.train`: trains a model of the zoo and measures it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.errors import SpecError
from tfspeech.flags import DEFAULT_MODEL, model_parser, with_flags
from tfspeech.tasks.dry_run import describe, dry_run
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import check_same, has_run, load_config, read_config
from tfspeech.tasks.task import RunConfig
from tfspeech.tasks.training import absolute
from tfspeech.tasks.training import train as run

_JSON, _DRY_RUN, _PRINT_CONFIG = "json", "dry_run", "print_config"


def parse(
    arguments: Sequence[str],
) -> tuple[RunConfig, Path, bool, Collection[str]]:
    """Returns configuration, run directory, whether to resume, and what else is asked.

    That is some of `json`, `dry_run` and `print_config`.

    A run that is resumed keeps its configuration; flags and `--config` may repeat it.

    Raises:
        SpecError: A flag is unknown or its value is out of range.
        RunError: The run to be resumed is of another model, or the file cannot be read.
    """
    start = _start(arguments)
    parser = model_parser(
        "train",
        "Trains a model, measures it and keeps the best.",
        arguments,
        _add_own,
        default=start.model,
    )
    given = parser.parse_args(arguments)
    model = getattr(given, "model", start.model)
    config = start if model == start.model else default_config(model)
    run_dir = getattr(given, "run_dir", Path("runs") / config.name)
    resume = getattr(given, "resume", False)
    if "config" in given:
        if model != start.model:
            raise SpecError(
                f"{given.config} is for {start.model}: leave out {model}, or --config"
            )
    elif resume and has_run(run_dir):
        config = load_config(run_dir)
        if "model" in given:
            check_same(run_dir, config, dataclasses.replace(config, model=model))
    asked = {name for name in (_JSON, _DRY_RUN, _PRINT_CONFIG) if name in given}
    return with_flags(config, given), run_dir, resume, asked


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
        "--resume",
        action="store_true",
        help="go on where the run in DIR stopped; with more --epochs also where it has "
        "ended",
    )
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print the configuration as JSON, for --config, and stop",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the data, build the model, measure some steps for what the run "
        "would take in time and memory, and stop; only the cache is written",
    )
    parser.add_json()


def _start(arguments: Sequence[str]) -> RunConfig:
    """Returns what flags change: a file's, the resumed run's or the default settings.

    Raises:
        RunError: The file or the run is missing or damaged.
    """
    parser = Parser("train", "", add_help=False)
    _add_own(parser)
    given, _ = parser.parse_known_args(arguments)
    if "config" in given:
        return read_config(given.config)
    if "resume" in given and "run_dir" in given and has_run(given.run_dir):
        return load_config(given.run_dir)
    return default_config(DEFAULT_MODEL)


def main(arguments: Sequence[str]) -> None:
    """Trains, and prints the scores and what to do with the model."""
    config, run_dir, resume, asked = parse(arguments)
    if _PRINT_CONFIG in asked:
        print(absolute(config).to_json(), end="")
        return
    if _DRY_RUN in asked:
        results = dry_run(config)
        say(describe(results, config))
    elif results := run(config, run_dir, resume):
        say(config.summarize(results))
        say(f"export it for TF Serving: tfspeech export {run_dir}")
    if _JSON in asked:
        print_json(results)


if __name__ == "__main__":
    run_command(main)
