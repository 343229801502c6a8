"""`python -m tuning.search`: Keras Tuner searches hyperparameters over our loop."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import keras_tuner

from tfspeech import export
from tfspeech.config import add_flags, differing, take_flags, to_flag
from tfspeech.console import Parser, print_json, say
from tfspeech.errors import RunError, SpecError
from tfspeech.files import locked
from tfspeech.flags import DEFAULT_MODEL, model_parser, with_flags
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import read_results
from tuning.command import add_report_flags
from tuning.reports import MARKDOWN
from tuning.search.oracles import STATE_FILE, build_oracle
from tuning.search.plan import Search, make_plan, open_space, wait_for_plan
from tuning.search.report import SearchReport, summarize
from tuning.search.space import declare
from tuning.search.tuner import SearchTuner
from tuning.settings import command_words
from tuning.trials import FINISHED, run_trial

BEST = "best"
VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
SINGLE, CHIEF, WORKER = "single", "chief", "worker"


def run(search: Search) -> SearchReport | None:
    """Runs a search, or resumes it, and writes the report.

    With the variables of Keras Tuner's distributed search set, this process is its
    chief, which trains the baseline and assigns trials, or one of the workers, which
    train them; all are given the same search and share its directory.

    Args:
        search: The settings.

    Returns:
        The report; None in a worker.

    Raises:
        SpecError: A name, a value or a variable is wrong.
        RunError: The directory holds another search or is in use, the baseline cannot
            be trained, or another process is gone.
        KeyboardInterrupt: SIGINT; the same call resumes the search.
    """
    role = find_role()
    if role == WORKER:  # Its chief has the directory.
        return _run(search, role)
    with locked(search.directory):
        return _run(search, role)


def _run(search: Search, role: str) -> SearchReport | None:
    """Does what `run` does, in a directory that no other search writes to."""
    space = open_space(search)
    prepare = wait_for_plan if role == WORKER else make_plan
    trials = prepare(search, space)
    state = search.directory / STATE_FILE
    oracle = build_oracle(
        search.engine,
        declare(trials.space),
        trials.objective,
        max_trials=search.max_trials,
        epochs=search.config.training.epochs,
        seed=search.config.training.seed,
        path=state,
    )
    _search(SearchTuner(oracle, trials, search.directory), role)
    if role == WORKER:
        return None
    baseline = trials.baseline()
    report = SearchReport(
        trials,
        _command(search),
        search.engine,
        baseline,
        trials.records(),
        baseline.seconds + json.loads(state.read_text())["seconds"],
    )
    report.write()
    return report


def find_role() -> str:
    """Whether this process searches by itself, assigns trials, or trains them.

    Raises:
        SpecError: Some of Keras Tuner's variables are missing.
    """
    given = [name for name in VARIABLES if os.environ.get(name)]
    if not given:
        return SINGLE
    missing = [name for name in VARIABLES if name not in given]
    if missing:
        raise SpecError(
            f"set {', '.join(missing)} as well, or none of {', '.join(VARIABLES)}"
        )
    # Keras Tuner's own rule.
    return CHIEF if "chief" in os.environ[VARIABLES[0]] else WORKER


def _search(tuner: SearchTuner, role: str) -> None:
    """Runs trials, or assigns them to workers, until there are no more."""
    address = ":".join(os.environ.get(name, "") for name in VARIABLES[1:])
    if role == CHIEF:
        say(f"chief: assigns trials at {address}")
    try:
        # Keras Tuner prints the messages that it receives.
        with contextlib.redirect_stdout(None):
            tuner.search()
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ or error from None
    except RuntimeError as error:
        if role != CHIEF or "bind" not in str(error):
            raise
        raise RunError(f"cannot listen at {address}: {error}") from error
    except grpc.RpcError as error:
        raise RunError(
            "lost the chief: start it again with the same flags, then this worker "
            f"with the same {VARIABLES[0]}. ({error.code().name})"
        ) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; the same command resumes the search"
        ) from None


def export_best(report: SearchReport, output: Path) -> tuple[dict[str, Any], Path]:
    """Trains the best configuration once more on the full budget, and exports it.

    Args:
        report: Of the search.
        output: The folder in which `<model>/<version>/` is written.

    Returns:
        The scores of the trained model, and the folder of the new version.

    Raises:
        RunError: No trial has a score, or the training failed.
    """
    if report.best is None:
        raise RunError("no trial has a score: there is nothing to be exported")
    run_dir = report.trials.directory / BEST / report.best.name
    say(f"best: trains once more in {run_dir}")
    outcome = run_trial(report.best_config, run_dir)
    if outcome.status != FINISHED:
        raise RunError(f"the best configuration {outcome.status}: {outcome.reason}")
    return read_results(run_dir), export.run(run_dir, output)


def _command(search: Search) -> list[str]:
    """The command line that repeats a search."""
    words = command_words("tuning.search", search.config)
    defaults = Search(search.config, search.directory)
    for name, value in differing(search, defaults).items():
        words += to_flag(name, value)
    return [*words, "--run-dir", str(search.directory)]


def parse(arguments: Sequence[str]) -> tuple[Search, Path | None, bool]:
    """Returns the settings, the folder to export to if any, and whether to print JSON.

    Raises:
        SpecError: A flag is unknown or its value is out of range.
    """
    parser = model_parser(
        "search",
        "Searches the hyperparameters of a model with Keras Tuner. The same command "
        "resumes an interrupted search.",
        arguments,
        _add_own,
    )
    given = parser.parse_args(arguments)
    flags = vars(given)
    model = flags.get("model", DEFAULT_MODEL)
    config = with_flags(default_config(model), given)
    directory = flags.get("run_dir", Path("runs") / f"search_{model}")
    search = take_flags(Search(config, directory), given)
    output = flags.get("output", Path("saved_models")) if "export" in flags else None
    return search, output, flags.get("json", False)


def _add_own(parser: Parser) -> None:
    search = Search(default_config(DEFAULT_MODEL), Path())
    add_flags(parser, search, skip=("config", "directory"))
    add = parser.add_argument_group("Results").add_argument
    add(
        "--export",
        action="store_true",
        help="train the best configuration once more on the full budget and export it",
    )
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder in which --export writes MODEL/VERSION/ (default: saved_models)",
    )
    add_report_flags(add, "runs/search_MODEL")


def main(arguments: Sequence[str]) -> None:
    """Runs a search, and prints its results."""
    search, output, as_json = parse(arguments)
    report = run(search)
    if report is None:
        return
    for sentence in summarize(report):
        say(sentence)
    say(f"tables and plots: {search.directory / MARKDOWN}")
    if output is not None:
        scores, version = export_best(report, output)
        say(report.trials.config.summarize(scores))
        say(f"exported {version}")
    if as_json:
        print_json(report.to_json())
