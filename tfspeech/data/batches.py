"""Which utterances make a batch: the same for the same seed, from any point on."""

from __future__ import annotations

import numpy as np

_BATCHES_PER_POOL = 16


class BatchPlan:
    """Puts the utterances of an epoch in random batches of similar lengths.

    Every utterance comes at least once per epoch, except those of the pool, of which
    each epoch draws others. Some come twice, so that all batches are of one size and a
    whole number of steps makes an epoch.

    Args of the constructor:
        lengths: Of every utterance, [utterances], in any unit.
        batch_size: Utterances per batch.
        batches_per_step: The number of batches of an epoch is a multiple of this.
        seed: Of the order; the epoch's number adds to it.
        pool: How many utterances, the last ones, are the pool.
        drawn: How many of the pool take part in an epoch.

    Attributes:
        batch_size: As given.
        batches_per_epoch: Batches in every epoch.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        batches_per_step: int = 1,
        seed: int = 0,
        pool: int = 0,
        drawn: int = 0,
    ) -> None:
        self._lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self._seed = seed
        self._always = len(self._lengths) - pool
        self._drawn = drawn
        steps = -(-(self._always + drawn) // (batch_size * batches_per_step))
        self.batches_per_epoch = steps * batches_per_step

    def epoch(self, number: int) -> np.ndarray:
        """The utterances of one epoch, int64 [batches, batch_size]."""
        rng = np.random.default_rng([self._seed, number])
        pool = np.arange(self._always, len(self._lengths))
        drawn = rng.permutation(pool)[: self._drawn]
        taking_part = rng.permutation(np.append(np.arange(self._always), drawn))
        size = self.batches_per_epoch * self.batch_size
        order = np.resize(taking_part, size).astype(np.int64)
        pool_size = self.batch_size * _BATCHES_PER_POOL
        pools = np.split(order, range(pool_size, len(order), pool_size))
        # Sorted within pools, neighbours are of similar length but not always the same.
        by_length = [p[np.argsort(self._lengths[p], kind="stable")] for p in pools]
        batches = np.concatenate(by_length).reshape(-1, self.batch_size)
        return batches[rng.permutation(len(batches))]


def ordered_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Every utterance once, the shortest first, for evaluation."""
    order = np.argsort(lengths, kind="stable")
    return np.split(order, range(batch_size, len(order), batch_size))
