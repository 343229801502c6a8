"""The state of strategies is saved, restored and gone on with, to the last bit."""

import pytest
from specs import CLIP, REGULARIZE
from toy import all_values, run, toy_data, toy_step

from tfspeech.strategies import REGULARIZATIONS
from tfspeech.strategies.regularization import Reparameterization
from tfspeech.training.checkpoints import LastCheckpoint

REPARAMETERIZE = [
    n for n in REGULARIZE if issubclass(REGULARIZATIONS[n], Reparameterization)
]
OTHERS = [n for n in REGULARIZE if n not in REPARAMETERIZE]
SAVED_AT, STEPS = 5, 11
ADAPTIVE = ("clipping/", "regularization/", "parameters/", "diagnostics/")


def step_of(reparameterize):
    """A step with all strategies, but just one that reparameterizes a weight."""
    return toy_step(
        # Backwards: error_feedback comes before much is clipped.
        clip=[*reversed(CLIP.values())],
        regularize=[REGULARIZE[name] for name in (*OTHERS, reparameterize)],
        optimizer="adam()",
        schedule="cosine()",
        ema_momentum=0.9,
        dropout=0.3,
    )


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("reparameterize", REPARAMETERIZE)
def test_a_resumed_run_of_all_strategies_is_an_uninterrupted_one(
    reparameterize, tmp_path
):
    whole = step_of(reparameterize)
    created = all_values(whole)
    # One call of many steps and calls of fewer are the same graph.
    whole.run(iter(toy_data()), STEPS)
    first = step_of(reparameterize)
    first.run(iter(toy_data()), SAVED_AT)
    saved = all_values(first)
    idle = [k for k in saved if k.startswith(ADAPTIVE) and saved[k] == created[k]]
    # Nothing is cut off the small gradients of the two parameters that are added, and
    # the direction of a single unit is what it is; all else has something to remember.
    assert len(idle) <= 3, idle
    LastCheckpoint(tmp_path, first.variables).save(SAVED_AT)

    # As in a new process: `kl_gaussian` goes by the variance of the initial weights.
    second = step_of(reparameterize)
    LastCheckpoint(tmp_path, second.variables).restore()
    assert all_values(second) == saved
    metrics = run(second, toy_data().skip(SAVED_AT), STEPS - SAVED_AT)
    assert 0 in metrics["skipped"]
    found, wanted = all_values(second), all_values(whole)
    assert [name for name in wanted if found[name] != wanted[name]] == []
