"""Findings of a comparison as sentences, from its figures and nothing else.

Two candidates are called different where the 95 % intervals of their means over the
seeds do not overlap; else they are not distinguishable.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfspeech.training.callbacks import Monitor
from tuning.compare.grid import Family
from tuning.compare.results import CandidateResult
from tuning.intervals import Estimate
from tuning.trials import CRASHED, FINISHED

Findings = dict[str, list[str]]
"""Sentences by question."""


def find(
    results: Sequence[CandidateResult],
    families: Sequence[Family],
    monitor: Monitor,
    target_loss: float | None,
) -> Findings:
    """Answers the questions that a comparison is made for.

    Args:
        results: Of all candidates.
        families: Candidates that differ in one number.
        monitor: The score by which best models were chosen.
        target_loss: The training loss for which the steps to it are reported.
    """
    return {
        "Which threshold?": [
            *_best_candidate(results, monitor),
            *_best_values(results, families, monitor),
            *_steps_to_target(results, target_loss),
        ],
        "What is lost?": [*_gradient_loss(results), *_versus_none(results, monitor)],
        "Does it oscillate?": _oscillation(results),
        "Does it diverge?": _divergence(results),
    }


def format_estimate(found: Estimate, form: str = ".4g") -> str:
    """A mean with the half-width of its interval, as text."""
    if found.half_width is None:
        return format(found.mean, form)
    return f"{found.mean:{form}} ± {found.half_width:{form}}"


def join_labels(labels: Sequence[str]) -> str:
    """Labels as a list in a sentence."""
    return ", ".join(f"`{label}`" for label in labels)


def _best_candidate(results: Sequence[CandidateResult], monitor: Monitor) -> list[str]:
    ranked = _ranked(results, "metric", monitor.sign)
    if not ranked:
        return ["No run finished."]
    (best, found), *others = ranked
    runs = "one run" if found.count == 1 else f"{found.count} runs"
    sentence = (
        f"The best validation {monitor.name} is that of {best}: "
        f"{format_estimate(found)} ({runs})."
    )
    return [sentence, *_others(found, others, "Worse")]


def _best_values(
    results: Sequence[CandidateResult], families: Sequence[Family], monitor: Monitor
) -> list[str]:
    by_candidate = {result.candidate: result for result in results}
    sentences = []
    for family in families:
        points = [
            (f"{value:g}", found)
            for value, candidate in family.members
            if (found := by_candidate[candidate].figure("metric"))
        ]
        if len(points) < 2:
            continue
        points.sort(key=lambda point: -monitor.sign * point[1].mean)
        (value, best), *others = points
        sentences.append(
            f"Of the values of `{family.label}`, {value} has the best validation "
            f"{monitor.name}. {' '.join(_others(best, others, 'Worse'))}"
        )
    return sentences


def _steps_to_target(
    results: Sequence[CandidateResult], target_loss: float | None
) -> list[str]:
    if target_loss is None:
        return []
    # A mean over the runs that happened to reach it would flatter the others.
    reached, missed = [], []
    for result in results:
        found = result.figure("steps_to_target")
        if found and found.count == result.count(FINISHED):
            reached.append(result)
        elif result.count(FINISHED):
            missed.append(result.label)
    sentences = []
    if reached:
        (first, found), *others = _ranked(reached, "steps_to_target", -1.0)
        sentences.append(
            f"A training loss of {target_loss:.4g} is reached first by {first}, after "
            f"{format_estimate(found, '.0f')} steps. "
            + " ".join(_others(found, others, "Later"))
        )
    if missed:
        sentences.append(
            f"Some runs or all never reach {target_loss:.4g}: {join_labels(missed)}."
        )
    return sentences


def _others(
    best: Estimate, others: Sequence[tuple[str, Estimate]], worse: str
) -> list[str]:
    """Says which of the others differ from the best."""
    if not others:
        return []
    if best.half_width is None:
        return ["A single run has no interval: the order may be chance."]
    same = [name for name, found in others if not best.apart_from(found)]
    apart = [name for name, found in others if best.apart_from(found)]
    sentences = []
    if same:
        sentences.append(f"Not distinguishable from it: {', '.join(same)}.")
    if apart:
        sentences.append(f"{worse}, with intervals apart: {', '.join(apart)}.")
    return sentences


def _gradient_loss(results: Sequence[CandidateResult]) -> list[str]:
    sentences, idle = [], []
    for result in results:
        clipped, cosine, energy = map(
            result.figure, ("clipped", "cosine", "retained_energy")
        )
        if clipped is None:
            continue
        if clipped.mean == 0:
            idle.append(result.label)
            continue
        sentence = f"`{result.label}` clips {clipped.mean:.1%} of the steps"
        if cosine and energy:
            sentence += (
                f"; over all steps it keeps {energy.mean:.1%} of the gradient's "
                f"energy, at a cosine of {cosine.mean:.4f} with the raw gradient"
            )
        sentences.append(sentence + ".")
    return sentences + ([f"No step is clipped by {join_labels(idle)}."] if idle else [])


def _versus_none(results: Sequence[CandidateResult], monitor: Monitor) -> list[str]:
    """Compares the metric with that without clipping, all else equal."""
    sentences = []
    for base in results:
        reference = base.figure("metric")
        if base.candidate.clip != ("none()",) or not reference:
            continue
        groups: dict[str, list[str]] = {}
        for result in results:
            found = result.figure("metric")
            same = result.candidate.regularize == base.candidate.regularize
            if result is base or not found or not same:
                continue
            if not found.apart_from(reference):
                verdict = "not distinguishable"
            else:
                gain = monitor.sign * (found.mean - reference.mean)
                verdict = "better" if gain > 0 else "worse"
            groups.setdefault(verdict, []).append(result.label)
        if groups:
            verdicts = "; ".join(f"{v}: {join_labels(ls)}" for v, ls in groups.items())
            sentences.append(
                f"Against `{base.label}`, the validation {monitor.name} is {verdicts}."
            )
    return sentences


def _oscillation(results: Sequence[CandidateResult]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for result in results:
        found = result.figure("update_cosine")
        if found is None:
            continue
        if found.half_width is None or abs(found.mean) <= found.half_width:
            verdict = "Undecided whether successive updates agree"
        elif found.mean < 0:
            verdict = "Successive updates point against each other"
        else:
            verdict = "Successive updates point the same way, it does not oscillate"
        groups.setdefault(verdict, []).append(
            f"`{result.label}` ({format_estimate(found, '.3f')})"
        )
    sentences = [
        f"{verdict} (mean cosine and its interval): {', '.join(labels)}."
        for verdict, labels in groups.items()
    ]
    flips = _ranked(results, "sign_flips")
    if len(flips) > 1:
        (most, high), (least, low) = flips[0], flips[-1]
        sentences.append(
            f"From one update to the next, {low.mean:.1%} ({least}) to "
            f"{high.mean:.1%} ({most}) of the weights change direction."
        )
    return sentences or ["Not measured."]


def _divergence(results: Sequence[CandidateResult]) -> list[str]:
    sentences = []
    for result in results:
        crashed = result.count(CRASHED)
        steps = [r.diverged_step for r in result.runs if r.diverged_step is not None]
        if steps:
            sentences.append(
                f"`{result.label}` diverged in {len(steps)} of {len(result.runs)} "
                f"runs, from step {', '.join(map(str, steps))} on."
            )
        if crashed:
            sentences.append(
                f"`{result.label}` crashed in {crashed} of {len(result.runs)} runs; "
                "the same command tries them again."
            )
    return sentences or ["No run diverged."]


def _ranked(
    results: Sequence[CandidateResult], name: str, sign: float = 1.0
) -> list[tuple[str, Estimate]]:
    """The candidates that have a figure, the highest times `sign` first."""
    found = [(f"`{r.label}`", e) for r in results if (e := r.figure(name)) is not None]
    return sorted(found, key=lambda pair: -sign * pair[1].mean)
