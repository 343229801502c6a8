"""Arrays that a run has saved, as bytes, to compare runs to the last bit."""

import numpy as np
import tensorflow as tf


def best_arrays(run_dir):
    """All arrays of the best weights, by name."""
    with np.load(run_dir / "checkpoints" / "best.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays}


def last_arrays(run_dir):
    """All arrays of the last checkpoint, by name."""
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    return {
        name: np.asarray(reader.get_tensor(name)).tobytes()
        for name in reader.get_variable_to_shape_map()
        if name.startswith("variables")
    }


def saved_arrays(run_dir):
    """All arrays of the last checkpoint and of the best weights, by name."""
    return last_arrays(run_dir) | best_arrays(run_dir)
