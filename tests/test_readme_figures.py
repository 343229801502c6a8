"""The figures that the README begins with, within what another seed could make."""

import numpy as np
import pytest

from tfspeech import train
from tfspeech.tasks.alignment.run import align_corpus

pytestmark = [pytest.mark.slow, pytest.mark.headline]

SPEAKERS = ("george", "jackson", "lucas", "nicolas")


def scores(run_dir, *flags):
    config, *_ = train.parse([str(flag) for flag in flags])
    return train.run(config, run_dir)


def test_synthetic_voices_never_heard_are_recognised(tmp_path):
    assert scores(tmp_path)["accuracy"] >= 0.975  # README: 99.0 %.


def test_fsdd_is_recognised(speech_data, tmp_path):
    found = scores(tmp_path, "--data", f"fsdd:{speech_data / 'fsdd'}")
    assert found["accuracy"] >= 0.985  # README: 100 %.


def test_speakers_of_fsdd_never_heard_are_recognised(speech_data, tmp_path):
    data = ["--data", f"fsdd:{speech_data / 'fsdd'}"]
    found = [
        scores(tmp_path / name, *data, "--test-speakers", name)["accuracy"]
        for name in SPEAKERS
    ]
    assert np.mean(found) >= 0.87  # README: 89.8 %.
    assert min(found) >= 0.80


def test_the_dense_synthesiser_is_near_the_reader(tmp_path):
    found = scores(tmp_path, "dense_synthesis")
    assert found["aligned_mcd_db"] <= 2.9  # README: 2.80.
    assert found["mcd_db"] <= 2.85  # README: 2.70.
    assert found["f0_rmse_hz"] <= 6.5  # README: 5.3.
    assert found["voicing_error_percent"] <= 4.5  # README: 3.4.


def test_the_reader_is_aligned(tmp_path):
    found = align_corpus("reader", tmp_path)["boundaries"]
    assert found["within_20_ms"] >= 0.87  # README: 89.0 %.
