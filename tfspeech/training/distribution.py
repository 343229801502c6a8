"""One machine or many: who computes what share of a batch, and who writes."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from tfspeech.errors import SpecError

DISTRIBUTIONS = ("none", "mirrored", "multi_worker")


class Distribution:
    """The replicas of a training run, and this process's place among them.

    Every process reads and augments whole batches, the same ones in the same order,
    and each replica takes its share of them: so the batches, and with them the
    weights, are those of a run on one device.

    Args of the constructor:
        strategy: TensorFlow's own; the default one for a single device.

    Attributes:
        strategy: The same.
        replicas: In all processes together.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self._workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)

    @property
    def is_chief(self) -> bool:
        """Whether this process keeps the run directory; one of them does."""
        resolver = self.strategy.cluster_resolver
        if not self._workers or resolver is None:
            return True
        return resolver.task_type in (None, "chief") or (
            resolver.task_type == "worker"
            and resolver.task_id == 0
            and "chief" not in resolver.cluster_spec().jobs
        )

    def share(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """This replica's rows of a batch; to be called in a replica context."""
        if self.replicas == 1:
            return batch
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        # Every n-th row: neighbours in a batch may be sorted by length.
        return {name: rows[replica :: self.replicas] for name, rows in batch.items()}

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
        """What each replica of this process returned, one after the other."""
        parts = map(self.strategy.experimental_local_results, values)
        return [part for each in parts for part in each]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all must ask at the same place."""
        if not self._workers:
            return flag
        mine = self.strategy.run(lambda: tf.constant(int(flag)))
        return bool(self.strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None))


def create_distribution(name: str) -> Distribution:
    """Sets up what `--distribute` names; the first thing a program does with devices.

    Args:
        name: `none`, `mirrored` for all GPUs of this machine (its CPUs where there are
            none), or `multi_worker` for the processes that `TF_CONFIG` lists.

    Raises:
        SpecError: `TF_CONFIG` is missing or malformed.
    """
    if name == "mirrored":
        return Distribution(tf.distribute.MirroredStrategy())
    if name == "multi_worker":
        _check_tf_config()
        return Distribution(tf.distribute.MultiWorkerMirroredStrategy())
    return Distribution()


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
