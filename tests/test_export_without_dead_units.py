"""Exports of models whose units strategies have zeroed."""

import shutil

import numpy as np

from tfspeech.tasks.runs import load_task

WORD = np.sin(np.arange(4000) / 4).astype(np.float32) * 0.3


def test_what_is_exported_has_no_dead_units_and_the_same_answers(
    small_run, tmp_path, capsys
):
    run_dir = tmp_path / "run"
    (run_dir / "checkpoints").mkdir(parents=True)
    shutil.copy(small_run / "config.json", run_dir)
    with np.load(small_run / "checkpoints" / "best.npz") as arrays:
        best = dict(arrays)
    dead = [2 * 8 + 1, 2 * 8 + 5]  # Of eight units, in what enters the state of a GRU.
    touched = [name for name in best if "/recurrent_0/" in name]
    assert len(touched) == 6
    for name in touched:
        best[name][..., dead] = 0.0
    np.savez(run_dir / "checkpoints" / "best.npz", **best)
    config, whole = load_task(run_dir)
    smaller_config, smaller = load_task(run_dir, drop_dead_units=True)
    assert (config.architecture.units, smaller_config.architecture.units) == (8, 6)
    counts = whole.model.count_params(), smaller.model.count_params()
    assert "{:,} parameters, {:,} without".format(*counts) in capsys.readouterr().err
    wanted = whole.transcribe(WORD, 8000).scores
    found = smaller.transcribe(WORD, 8000).scores
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), atol=1e-5)
