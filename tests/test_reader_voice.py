"""The default synthesiser on `reader`; it takes many minutes."""

import pytest

from tfspeech import train

pytestmark = [pytest.mark.slow, pytest.mark.headline]


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """The defaults, on two cores within ten minutes."""
    run_dir = tmp_path_factory.mktemp("runs") / "voice"
    config, *_ = train.parse(["attention_tts"])
    return run_dir, train.run(config, run_dir)


def test_sentences_never_read_before_are_spoken_to_their_end(voice):
    _, results = voice
    assert results["sentences"] == 100
    assert results["stopped"] >= 0.95
    assert results["monotonic_coverage"] >= 0.95
    assert results["focus"] >= 0.7
    assert results["mcd_db"] <= 2.65  # README: 2.41.
    assert results["vocoder_mcd_db"] < results["mcd_db"] < results["other_voice_mcd_db"]
    assert results["skipped_words"] <= 0.02
    assert results["repeated_words"] <= 0.02


def test_no_hard_sentence_runs_to_the_bound(voice):
    _, results = voice
    assert results["hard_sentences"]["stopped"] == 1


def test_its_digits_are_understood(voice, tmp_path):
    from benchmarks.digits import digits_understood

    config, *_ = train.parse(["rnn_recognizer"])
    train.run(config, tmp_path / "listener")
    shares = digits_understood(voice[0], tmp_path / "listener")
    assert shares["reader, in lists"] >= 0.95
    # To some listeners its soft "nine" after a pause is a five: 14 of the 160.
    assert shares["synthesis, in lists"] >= 0.9
    assert shares["synthesis, alone"] >= 0.95
