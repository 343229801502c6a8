"""`python -m tuning.compare`: trains candidates side by side and reports on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.config import is_number
from tfspeech.config import take_flags
from tfspeech.console import Parser, print_json, say
from tfspeech.errors import RunError, SpecError
from tfspeech.files import locked
from tfspeech.flags import DEFAULT_MODEL, model_parser, with_flags
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.tasks.runs import check_same, has_run, load_config
from tfspeech.tasks.task import RunConfig
from tuning.command import add_report_flags
from tuning.compare.findings import find
from tuning.compare.grid import (
    Combination,
    build_candidates,
    build_combinations,
    find_families,
)
from tuning.compare.report import Report
from tuning.compare.results import collect
from tuning.reports import MARKDOWN
from tuning.settings import format_chain, with_absolute_data
from tuning.trials import CRASHED, FINISHED, Outcome, run_trial


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The settings of a comparison.

    Attributes:
        config: The configuration that all runs share; its seed is the first.
        clips: Clipping chains, each as `first() + second()`.
        regularizations: Regularization chains in the same form.
        seeds: Runs per candidate, with the seeds that follow the first.
        directory: The directory of the report and all runs.
        target_loss: The training loss for which the steps to it are reported; by
            default it is chosen from the runs.
        varied: Other settings, each as `name=value,value`, or some of these with plus
            signs between them, whose values go together.
    """

    config: RunConfig
    clips: tuple[str, ...]
    regularizations: tuple[str, ...]
    seeds: int
    directory: Path
    target_loss: float | None = None
    varied: tuple[str, ...] = ()


def run(comparison: Comparison) -> dict[str, Any]:
    """Trains every combination that was not trained yet, and writes the report.

    Args:
        comparison: The settings.

    Returns:
        The contents of `report.json`.

    Raises:
        SpecError: A candidate or a setting is wrong.
        RunError: The directory holds a run with other settings or is in use, a run
            could not be started, or all of them crashed.
        KeyboardInterrupt: SIGINT; the same call resumes the comparison.
    """
    with locked(comparison.directory):
        return _run(comparison)


def _run(comparison: Comparison) -> dict[str, Any]:
    """Does what `run` does, in a directory that nobody else writes to."""
    config = with_absolute_data(comparison.config)
    candidates = build_candidates(
        comparison.clips, comparison.regularizations, comparison.varied
    )
    combinations = build_combinations(
        config, candidates, comparison.seeds, comparison.directory
    )
    for combination in combinations:
        if has_run(combination.run_dir):
            saved = load_config(combination.run_dir)
            check_same(combination.run_dir, saved, combination.config)
    outcomes = _train_all(combinations)
    run_dir = next(run.run_dir for run in combinations if has_run(run.run_dir))
    monitor = build_task(load_config(run_dir)).monitor
    results, target_loss = collect(
        combinations, outcomes, monitor, comparison.target_loss
    )
    families = find_families([r.candidate for r in results if r.count(FINISHED)])
    report = Report(
        config,
        comparison.directory,
        monitor,
        target_loss,
        comparison.target_loss is not None,
        comparison.varied,
        results,
        families,
        find(results, families, monitor, target_loss),
    )
    report.write()
    return report.to_json()


def _train_all(combinations: Sequence[Combination]) -> list[Outcome]:
    """Trains the runs that are not trained yet, and reports progress."""
    outcomes: list[Outcome] = []
    for number, combination in enumerate(combinations, 1):
        say(
            f"run {number} of {len(combinations)}: {combination.candidate.label}, seed "
            f"{combination.config.training.seed}"
        )
        try:
            outcome = run_trial(combination.config, combination.run_dir)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted in run {number} of {len(combinations)}; the same command "
                "resumes the comparison"
            ) from None
        if outcome.status != FINISHED:
            say(f"{outcome.status}: {outcome.reason}")
        outcomes.append(outcome)
    if all(outcome.status == CRASHED for outcome in outcomes):
        raise RunError(f"all runs crashed, the last one {outcomes[-1].reason}")
    return outcomes


def parse(arguments: Sequence[str]) -> tuple[Comparison, bool]:
    """Returns the settings, and whether to print JSON.

    Raises:
        SpecError: A flag is unknown or its value is out of range.
    """
    parser = model_parser(
        "compare",
        "Trains a model with every combination of the given clipping and "
        "regularization strategies, and compares the results. The same command resumes "
        "an interrupted comparison.",
        arguments,
        _add_own,
        skip=("clip", "regularize"),
    )
    given = parser.parse_args(arguments)
    flags = vars(given)
    model = flags.get("model", DEFAULT_MODEL)
    config = with_flags(default_config(model), given)
    target_loss = flags.get("target_loss")
    if target_loss is not None and not is_number(target_loss):
        raise SpecError(f"--target-loss must be a number. Received: {target_loss}")
    chains = config.training.clip, config.training.regularize
    clips, regularizations = ((format_chain(chain),) for chain in chains)
    directory = flags.get("run_dir", Path("runs") / f"compare_{model}")
    default = Comparison(config, clips, regularizations, 3, directory)
    return take_flags(default, given), flags.get("json", False)


def _add_own(parser: Parser) -> None:
    group = parser.add_argument_group("Comparison")
    for flag, dest, example in (
        ("--clip", "clips", "centralize() + quantile(0.9)"),
        ("--regularize", "regularizations", "l1(1e-5) + box()"),
    ):
        group.add_argument(
            flag,
            dest=dest,
            action="append",
            metavar="CHAIN",
            help=f"candidate, such as '{example}'; repeat it for more (default: that "
            "of training)",
        )
    group.add_argument(
        "--vary",
        dest="varied",
        action="append",
        metavar="NAME=VALUE,...",
        help="other setting whose values are compared, such as 'units=64,128', or some "
        "whose values go together, 'units=64,128 + layers=2,1'; repeat it for all "
        "combinations with another",
    )
    group.add_argument(
        "--target-loss",
        type=float,
        metavar="LOSS",
        help="report the steps to this training loss (default: chosen from the runs)",
    )
    group.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="runs per candidate, each with its own seed (default: 3)",
    )
    add_report_flags(group.add_argument, "runs/compare_MODEL")


def main(arguments: Sequence[str]) -> None:
    """Runs a comparison, and prints its results."""
    comparison, as_json = parse(arguments)
    report = run(comparison)
    for question, sentences in report["findings"].items():
        say("\n".join([question, *(f"  {sentence}" for sentence in sentences)]))
    say(f"tables and plots: {comparison.directory / MARKDOWN}")
    if as_json:
        print_json(report)
