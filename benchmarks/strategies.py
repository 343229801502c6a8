"""Costs of diagnostics, clipping and regularization, as shares of a step."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterable

from benchmarks.subjects import RECOGNIZER, STACK, Runner, Subject
from benchmarks.timing import interleaved, print_table, ratios
from tfspeech.strategies import CLIPPINGS, REGULARIZATIONS

ROUNDS = 11
AT_ONCE = 4
"""Models beside the one that they are compared with; more would not fit in memory."""

SPECS = {
    "value": "value(1e-4)",
    "norm": "norm(0.01)",
    "global_norm": "global_norm(0.1)",
    "skip_spikes": "skip_spikes(100.0)",  # A step that is skipped would be a cheap one.
    "error_feedback": "error_feedback('value(1e-4)')",
    "budget": "budget(parameters=100_000_000)",
}
"""Strategies that by default would do something else here, or nothing."""


def benchmark_strategies() -> None:
    """Prints what our step adds to a bare one, and every strategy to our step."""
    for subject in (RECOGNIZER, STACK):
        _print_diagnostics(subject)
        _print_strategies("Clipping", subject, "clip", CLIPPINGS)
        title = "Regularization (prune: between its steps)"
        _print_strategies(title, subject, "regularize", REGULARIZATIONS)


def _print_diagnostics(subject: Subject) -> None:
    candidates = {
        "bare": subject.bare_steps(),
        "bare, skips what is not finite": subject.bare_steps(gated=True),
        "ours, none()": subject.our_steps(("none()",)),
        "ours, global_norm(5.0)": subject.our_steps(("global_norm(5.0)",)),
        "ours, global_norm(0.1)": subject.our_steps(("global_norm(0.1)",)),
        "bare, Keras's global_clipnorm=5.0": subject.bare_steps(global_clipnorm=5.0),
    }
    seconds = interleaved(candidates, 2 * ROUNDS)
    rows = _added(ratios(seconds, "bare"))
    for base in ("bare, skips what is not finite", "bare, Keras's global_clipnorm=5.0"):
        against = ratios(seconds, base)["ours, global_norm(5.0)"] - 1
        rows[f"ours, global_norm(5.0), to: {base}"] = f"{against:+7.1%}"
    title = "Diagnostics, time added to a bare tape and optimizer"
    print_table(f"{title}: {subject.title}", rows)


def _print_strategies(
    title: str, subject: Subject, kind: str, names: Iterable[str]
) -> None:
    """Prints what each strategy adds to a step with none(), which measures all too."""

    def prepare(spec: str) -> Runner:
        return subject.our_steps(**{kind: (spec,)})

    rows: dict[str, str] = {}
    base = prepare("none()")
    specs = (SPECS.get(name, f"{name}()") for name in names if name != "none")
    while group := list(itertools.islice(specs, AT_ONCE)):
        seconds = interleaved(
            {"none()": base} | {spec: prepare(spec) for spec in group}, ROUNDS
        )
        rows |= _added(ratios(seconds, "none()"))
        gc.collect()
    print_table(f"{title}, time added to a step with none(): {subject.title}", rows)


def _added(against: dict[str, float]) -> dict[str, str]:
    return {name: f"{ratio - 1:+7.1%}" for name, ratio in against.items()}
