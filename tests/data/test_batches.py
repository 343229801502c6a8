import numpy as np
import pytest

from tfspeech.data.batches import BatchPlan, ordered_batches

LENGTHS = np.random.default_rng(0).integers(10, 1000, size=1003)


@pytest.mark.parametrize(("batch_size", "per_step"), [(32, 1), (32, 4), (2000, 1)])
def test_an_epoch_is_whole_steps_of_full_batches_with_everything_in_them(
    batch_size, per_step
):
    plan = BatchPlan(LENGTHS, batch_size, per_step)
    batches = plan.epoch(0)
    assert batches.shape == (plan.batches_per_epoch, batch_size)
    assert plan.batches_per_epoch % per_step == 0
    assert set(batches.ravel()) == set(range(1003))
    counts = np.bincount(batches.ravel())
    assert counts.max() - counts.min() <= 1


def test_every_epoch_draws_others_from_the_pool():
    plan = BatchPlan(LENGTHS, 10, pool=500, drawn=97)
    assert plan.batches_per_epoch == 60
    epochs = [set(plan.epoch(number).ravel()) for number in range(2)]
    for epoch in epochs:
        assert set(range(503)) <= epoch
        assert len(epoch) == 600
    assert len(epochs[0] & epochs[1]) < 503 + 40


def test_the_order_depends_on_seed_and_epoch_alone():
    plans = [BatchPlan(LENGTHS, 32, seed=seed) for seed in (1, 1, 2)]
    orders = [plan.epoch(3).tobytes() for plan in plans]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != plans[0].epoch(4).tobytes()


def test_batches_hold_similar_lengths_but_not_always_the_same_utterances():
    plan = BatchPlan(LENGTHS, 32)
    batches = plan.epoch(0)
    padded = LENGTHS[batches].max(axis=1).sum() * 32
    unsorted = np.sort(batches.ravel()).reshape(-1, 32)
    assert padded < 0.7 * LENGTHS[unsorted].max(axis=1).sum() * 32
    first = {frozenset(batch) for batch in batches.tolist()}
    assert not first & {frozenset(batch) for batch in plan.epoch(1).tolist()}


def test_evaluation_takes_every_utterance_once_the_shortest_first():
    batches = ordered_batches(LENGTHS, 100)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(1003))
    assert np.all(np.diff(LENGTHS[order]) >= 0)
    assert [len(batch) for batch in batches] == [100] * 10 + [3]
