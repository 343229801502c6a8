"""One machine or many: who computes what share of a batch, and who writes."""

from __future__ import annotations

import functools
import json
import os

import tensorflow as tf

from tfspeech.errors import SpecError

DISTRIBUTIONS = ("none", "mirrored", "multi_worker")


class Distribution:
    """The replicas of a training run, and this process's place among them.

    A process reads its `shard` of every batch, some of the rows, and each of its
    replicas takes a share of those. What is random belongs to the rows: so losses and
    gradients, added up over the replicas, are those of the whole batch on one device.

    Args of the constructor:
        strategy: TensorFlow's own; the default one for a single device.

    Attributes:
        strategy: The same.
        replicas: In all processes together.
        shard: Number of this process, from 0, and how many there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self._workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.shard = (
            _find_shard(self.strategy.cluster_resolver) if self._workers else (0, 1)
        )

    @property
    def is_chief(self) -> bool:
        """Whether this process keeps the run directory; one of them does."""
        return self.shard[0] == 0

    def share(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """This replica's rows of its process's; to be called in a replica context."""
        local = self.replicas // self.shard[1]
        if local == 1:
            return batch
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group % local
        # Every n-th row: neighbours in a batch may be sorted by length.
        return {name: rows[replica::local] for name, rows in batch.items()}

    def fraction(self, weight: tf.Tensor) -> tf.Tensor | float:
        """A scalar as a share of its sum over the replicas; in a replica context."""
        if self.replicas == 1:
            return 1.0
        context = tf.distribute.get_replica_context()
        return weight / context.all_reduce(tf.distribute.ReduceOp.SUM, weight)

    def sum(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Adds up what each replica returned, once; plain tensors."""
        if self.replicas == 1:
            return values

        def reduce(*parts: tf.Tensor) -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            # A copy is placed on the replica's device, by which workers are told apart.
            parts = [tf.identity(part) for part in parts]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, parts)

        reduced = self.strategy.run(reduce, args=tuple(values))
        return [self.strategy.experimental_local_results(v)[0] for v in reduced]

    def local(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the results of the replicas of this process, one after the other."""
        parts = map(self.strategy.experimental_local_results, values)
        return [part for each in parts for part in each]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all must ask at the same place."""
        if not self._workers:
            return flag
        mine = self.strategy.run(lambda: tf.constant(int(flag)))
        return bool(self.strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None))


def _find_shard(
    resolver: tf.distribute.cluster_resolver.ClusterResolver,
) -> tuple[int, int]:
    """Number of this process, the chief's being 0, and how many there are."""
    jobs = resolver.cluster_spec().as_dict()
    chiefs, workers = len(jobs.get("chief", ())), len(jobs.get("worker", ()))
    before = chiefs if resolver.task_type == "worker" else 0
    return before + (resolver.task_id or 0), max(chiefs + workers, 1)


def create_distribution(name: str) -> Distribution:
    """Sets up what `--distribute` names; the first thing a program does with devices.

    Args:
        name: `none`, `mirrored` for all GPUs of this machine (its CPUs where there are
            none), or `multi_worker` for the processes that `TF_CONFIG` lists.

    Raises:
        SpecError: `TF_CONFIG` is missing or malformed.
    """
    if name == "mirrored":
        return Distribution(_mirrored())
    if name == "multi_worker":
        _check_tf_config()
        return Distribution(tf.distribute.MultiWorkerMirroredStrategy())
    return Distribution()


@functools.cache
def _mirrored() -> tf.distribute.MirroredStrategy:
    """One for all runs of a process: the collectives of two would share their keys."""
    return tf.distribute.MirroredStrategy()


def _check_tf_config() -> None:
    example = (
        '{"cluster": {"worker": ["host1:port", "host2:port"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        workers = config["cluster"][config["task"]["type"]]
        workers[int(config["task"]["index"])]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SpecError(
            "--distribute multi_worker needs $TF_CONFIG in every process, such as "
            f"{example}. Received: {text!r}"
        ) from error
