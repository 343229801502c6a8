"""A search without training: runs that write what a real one would, at once."""

import dataclasses
import json
import math

from small_flags import SMALL

from tfspeech.tasks.runs import save_config
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.loop import LoopState
from tfspeech.training.paths import METRICS_FILE, RESULTS_FILE
from tuning.limits import NO_LIMITS, LimitRule
from tuning.search import command as search
from tuning.search import oracles as search_oracles
from tuning.search import plan as search_plan
from tuning.search import trials as search_trials
from tuning.search import tuner as search_tuner
from tuning.trials import CRASHED, DIVERGED, FINISHED, STOPPED, Outcome

STEPS = 5
BEST_THRESHOLD = 0.3


def strength(specs, name, default):
    """The argument of a strategy in a chain."""
    for spec in specs:
        if spec.startswith(f"{name}("):
            return float(spec[len(name) + 1 : -1])
    return default


def accuracy(config):
    """The accuracy at the end: best at a threshold of 0.3 and a small lambda."""
    threshold = strength(config.training.clip, "global_norm", 5.0)
    distance = math.log10(threshold / BEST_THRESHOLD) ** 2
    penalty = strength(config.training.regularize, "l2", 0.0)
    seed = 0.001 * config.training.seed
    return 0.9 / (1 + 0.2 * distance + 10 * penalty) + seed


class Killed(BaseException):
    """The end of the process, as far as the code under test can tell."""


class Fakes:
    """Takes the place of training, and counts what it can be killed at.

    Attributes:
        events: Writes begun and ended, and epochs trained.
        kill_at: The event at which the process ends; None for never.
        trained: Run directory and epoch of all that was trained.
    """

    def __init__(self, monkeypatch):
        self.events = 0
        self.kill_at = None
        self.trained = []
        write = search_trials.write_json

        def write_json(path, values):
            self.tick()
            write(path, values)
            self.tick()

        for module in (search_trials, search_oracles, search_plan):
            monkeypatch.setattr(module, "write_json", write_json)
        for module in (search_trials, search_plan, search):
            monkeypatch.setattr(module, "run_trial", self.run_trial)
        monkeypatch.setattr(search_tuner, "_POLL_SECONDS", 0.0)

    def tick(self):
        self.events += 1
        if self.events == self.kill_at:
            raise Killed

    def run_trial(self, config, run_dir, limits=NO_LIMITS):
        """Goes on with a run to its end, as `tuning.trials.run_trial` does."""
        run_dir.mkdir(parents=True, exist_ok=True)
        metrics = run_dir / METRICS_FILE
        save_config(run_dir, dataclasses.replace(config, labels=("a", "b")))
        if strength(config.training.regularize, "l2", 0.0) > 1:
            return Outcome(DIVERGED, "not finite")
        if "value(0.5)" in config.training.clip:
            return Outcome(CRASHED, "killed by SIGKILL, possibly out of memory")
        done = sum("validation" in record for record in read_metrics(metrics))
        state = LoopState(STEPS, config.training.epochs, STEPS * done)
        rule = LimitRule(config, run_dir, limits)
        while state.step < state.total_steps and not (done and rule(state)):
            self.tick()
            state.step += STEPS
            done += 1
            with metrics.open("a") as file:
                file.write("".join(lines(config, state)))
            self.trained.append((run_dir.parent.name, run_dir.name, done))
        score = accuracy(config)
        results = {"split": "test", "accuracy": score - 0.1, "weights": {}}
        (run_dir / RESULTS_FILE).write_text(json.dumps(results))
        return Outcome(STOPPED if rule.reason else FINISHED, rule.reason)


def lines(config, state):
    """The lines that an epoch adds to the metrics."""
    share = 1 - math.exp(-state.step / (STEPS * 2))
    for step in range(state.step - STEPS + 1, state.step + 1):
        norm = 0.1 + 0.1 * step
        record = {"step": step, "group": "model", "loss": 1.0, "skipped": 0}
        record |= {"gradient_norm": norm, "clipped": 0.5, "cosine": 0.9}
        yield json.dumps(record) + "\n"
    score = share * accuracy(config)
    place = {"step": state.step, "epoch": state.epoch, "step_ms": 1.0, "weights": {}}
    scores = {"accuracy": score, "loss": 1 - score, "labels": {"a": 1}}
    yield json.dumps(place | {"validation": scores}) + "\n"


def parse(directory, *arguments):
    """A search from flags."""
    flags = [*SMALL, "--sample-rate-hz=8000", "--run-dir", str(directory), *arguments]
    return search.parse([str(flag) for flag in flags])[0]
