import numpy as np
import pytest
import tensorflow as tf
from regularized import ACTED_ON, RATE, make_chain, make_model, update, values

from tfspeech.errors import SpecError
from tfspeech.strategies import Run, Update


class TestPrune:
    SPEC = "prune(0.75, begin=2, end=12, every=5)"

    def zeros(self, times, moved=0.0):
        """The share of zeros after so many updates, each by an optimizer's move."""
        model = make_model()
        chain = make_chain(self.SPEC, model)
        shares = []
        for number in range(times):
            for variable in model.trainable_variables:
                variable.assign_add(tf.fill(variable.shape, moved))
            chain.update(Update(tf.constant(number, tf.int64), tf.constant(RATE)))
            shares.append(np.mean(values(model)[0] == 0.0))
        return model, shares

    def test_the_share_of_zeros_follows_the_schedule(self):
        _, shares = self.zeros(14)
        steps = {update: 0.75 * (1 - (1 - p) ** 3) for update, p in ((7, 0.5), (12, 1))}
        wanted = [0.0] * 6 + [steps[7]] * 5 + [steps[12]] * 3
        np.testing.assert_allclose(shares, wanted, atol=0.5 / 60)
        assert shares[-1] == 0.75

    def test_what_was_pruned_stays_zero_while_weights_move(self):
        moving, shares = self.zeros(40, moved=0.01)
        assert shares[-1] == 0.75
        first, _ = self.zeros(7, moved=0.01)
        for i in ACTED_ON["default"]:
            gone = values(first)[i] == 0.0
            assert gone.any()
            assert not values(moving)[i][gone].any()
        assert values(moving)[1].all()

    def test_the_smallest_go(self):
        before = values(make_model())[0]
        after, _ = self.zeros(12)
        gone = values(after)[0] == 0.0
        assert np.abs(before[gone]).max() < np.abs(before[~gone]).min()

    def test_weights_that_tie_are_counted_exactly(self):
        model = make_model()
        model.convolution.kernel.assign(np.ones((3, 4, 5)))
        update("prune(0.8, end=10, every=10)", model, times=10)
        assert np.count_nonzero(values(model)[0]) == 12

    def test_the_smallest_units_of_hidden_layers_go_whole(self):
        before = values(make_model())
        model = make_model()
        chain = update("prune(0.4, end=10, every=5, of='units')", model, times=12)
        norms = np.linalg.norm(before[0], axis=(0, 1))
        gone = np.isin(np.arange(5), np.argsort(norms)[:2])
        after = values(model)
        np.testing.assert_array_equal(after[0], np.where(gone, 0.0, before[0]))
        for place in (1, 2, 3):  # A bias, an output layer, an embedding.
            np.testing.assert_array_equal(after[place], before[place])
        assert [v.shape for v in chain.variables.values()] == [(1, 1, 5)]

    def test_masks_are_state_of_the_run(self):
        model = make_model()
        chain = update(self.SPEC, model, times=20)
        assert chain.settled_after == 12
        kept = list(chain.variables.values())
        assert [v.shape for v in kept] == [(3, 4, 5), (5, 2), (6, 4)]
        np.testing.assert_array_equal(kept[0], values(model)[0] != 0.0)

    def test_a_run_that_is_too_short_is_refused(self):
        with pytest.raises(SpecError, match=r"update 500.*run after 499"):
            make_chain("prune()", make_model(), Run(499, 10))
