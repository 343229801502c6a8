"""The independent judge of speech, and its place in evaluations."""

import sys
from types import ModuleType

import numpy as np
import pytest

from tfspeech import evaluate
from tfspeech.errors import SpecError
from tfspeech.tasks.speech.judge import SpeechJudge

RATE_HZ = 22_050


class Network(ModuleType):
    """A stand-in for a module of speechmos, which says how loud it is."""

    def __init__(self, name, score):
        super().__init__(name)
        self.score = score

    def run(self, waveform, rate_hz):
        assert rate_hz == 16_000
        assert np.abs(waveform).max() <= 1
        return {self.score: waveform.std() + 0.01 * np.random.normal()}


@pytest.fixture
def networks(monkeypatch):
    monkeypatch.setitem(sys.modules, "speechmos", ModuleType("speechmos"))
    for name, score in (("dnsmos", "p808_mos"), ("plcmos", "plcmos")):
        network = Network(f"speechmos.{name}", score)
        monkeypatch.setitem(sys.modules, network.__name__, network)


def tone(level):
    return level * np.sin(np.arange(RATE_HZ) / 10).astype(np.float32)


def test_it_hears_16_khz_within_full_scale_and_says_the_same_again(networks):
    judge = SpeechJudge()
    state = np.random.get_state()[1].copy()
    scores = judge.scores(tone(2.0), RATE_HZ)
    assert scores["plcmos"] == judge.scores(tone(2.0), RATE_HZ)["plcmos"]
    assert scores["plcmos"] > judge.scores(tone(0.1), RATE_HZ)["plcmos"] + 0.2
    # Whoever else draws from the global generator draws what they would have drawn.
    np.random.set_state(("MT19937", state, 624))
    plcmos = [judge.scores(tone(0.5), RATE_HZ)["plcmos"] for _ in range(2)]
    assert plcmos[0] == plcmos[1]


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(("run", "columns"), [("small_dense", 4), ("small_vocoder", 3)])
def test_evaluate_judges_speech_and_recordings(
    run, columns, networks, request, command
):
    code, out, _ = command(evaluate.main, request.getfixturevalue(run), "--judge")
    assert code == 0
    lines = out.splitlines()
    for title in ("P.808", "PLCMOS"):
        row = next(line.split() for line in lines if line.startswith(f"{title} "))
        assert row[-1] == "MOS"
        assert len(row) == columns + 2
        assert any(line.startswith(f"{title} of the recordings") for line in lines)


def test_a_model_that_does_not_speak_is_not_judged(small_run, command):
    code, _, errors = command(evaluate.main, small_run, "--judge")
    assert code == 2
    assert errors == ["error: rnn_recognizer does not speak: leave out --judge"]


def test_without_its_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "speechmos", None)
    with pytest.raises(SpecError, match=r'pip install "tfspeech\[judge\]"'):
        SpeechJudge()


def test_noise_is_worse_than_a_recording(speech_data):
    pytest.importorskip("speechmos", reason="needs tfspeech[judge]")
    soundfile = pytest.importorskip("soundfile")
    path = next((speech_data / "ljspeech" / "wavs").glob("*.wav"))
    recording, rate_hz = soundfile.read(path, dtype="float32")
    rng = np.random.default_rng(0)
    noisy = recording + 0.1 * rng.normal(size=recording.size).astype(np.float32)
    clean, spoiled = (SpeechJudge().scores(x, rate_hz) for x in (recording, noisy))
    assert all(clean[name] > spoiled[name] + 0.3 for name in clean)
