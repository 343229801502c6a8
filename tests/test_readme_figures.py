"""The figures that the README begins with, within what another seed could make."""

import json
from pathlib import Path

import numpy as np
import pytest

from tfspeech import train
from tfspeech.tasks.alignment.run import align_corpus
from tfspeech.training.paths import RESULTS_FILE

pytestmark = pytest.mark.slow

HEADLINE = pytest.mark.headline
SPEAKERS = ("george", "jackson", "lucas", "nicolas")


def scores(run_dir, *flags):
    config, *_ = train.parse([str(flag) for flag in flags])
    return train.run(config, run_dir)


def by_default(model):
    """Makes a fixture: the run of a model by its defaults, trained in one process."""

    @pytest.fixture(scope="session")
    def run(build_once) -> Path:
        return build_once(f"default_{model}", lambda run_dir: scores(run_dir, model))

    return run


listener = by_default("rnn_recognizer")
voice = by_default("attention_tts")


def results_of(run_dir):
    return json.loads((run_dir / RESULTS_FILE).read_text())


@HEADLINE
def test_synthetic_voices_never_heard_are_recognised(listener):
    assert results_of(listener)["accuracy"] >= 0.975  # README: 99.0 %.


@HEADLINE
def test_fsdd_is_recognised(speech_data, tmp_path):
    found = scores(tmp_path, "--data", f"fsdd:{speech_data / 'fsdd'}")
    assert found["accuracy"] >= 0.985  # README: 100 %.


@HEADLINE
def test_speakers_of_fsdd_never_heard_are_recognised(speech_data, tmp_path):
    data = ["--data", f"fsdd:{speech_data / 'fsdd'}"]
    found = [
        scores(tmp_path / name, *data, "--test-speakers", name)["accuracy"]
        for name in SPEAKERS
    ]
    assert np.mean(found) >= 0.87  # README: 89.8 %.
    assert min(found) >= 0.80


@HEADLINE
def test_the_dense_synthesiser_is_near_the_reader(tmp_path):
    found = scores(tmp_path, "dense_synthesis")
    assert found["aligned_mcd_db"] <= 2.9  # README: 2.80.
    assert found["mcd_db"] <= 2.85  # README: 2.70.
    assert found["f0_rmse_hz"] <= 6.5  # README: 5.3.
    assert found["voicing_error_percent"] <= 4.5  # README: 3.4.


@HEADLINE
def test_the_reader_is_aligned(tmp_path):
    found = align_corpus("reader", tmp_path)["boundaries"]
    assert found["within_20_ms"] >= 0.87  # README: 89.0 %.


@HEADLINE
def test_a_third_of_its_training_lets_the_default_voice_speak_to_the_end(tmp_path):
    results = scores(tmp_path, "attention_tts", "--epochs=10")
    assert results["stopped"] >= 0.95
    assert results["monotonic_coverage"] >= 0.95
    assert results["focus"] >= 0.7  # 0.75.
    assert results["mcd_db"] <= 4.4  # 4.19.
    assert results["skipped_words"] <= 0.02


def test_sentences_never_read_before_are_spoken_to_their_end(voice):
    results = results_of(voice)
    assert results["sentences"] == 100
    assert results["stopped"] >= 0.95
    assert results["monotonic_coverage"] >= 0.95
    assert results["focus"] >= 0.7
    assert results["mcd_db"] <= 2.65  # README: 2.41.
    assert results["vocoder_mcd_db"] < results["mcd_db"] < results["other_voice_mcd_db"]
    assert results["skipped_words"] <= 0.02
    assert results["repeated_words"] <= 0.02


def test_no_hard_sentence_runs_to_the_bound(voice):
    assert results_of(voice)["hard_sentences"]["stopped"] == 1


def test_digits_of_the_default_voice_are_understood(voice, listener):
    from benchmarks.digits import digits_understood

    shares = digits_understood(voice, listener)
    assert shares["reader, in lists"] >= 0.95
    # Missed where it was measured last, by 0.919: docs/synthesis.md.
    assert shares["synthesis, in lists"] >= 0.95
    assert shares["synthesis, alone"] >= 0.95
