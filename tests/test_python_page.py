"""The blocks of docs/python.md, and the scripts in examples, as they stand."""

import importlib.util
import re
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

import tfspeech

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
FAST = {"epochs": 1, "batch_size": 8, "warmup_steps": 0}


@pytest.fixture
def folder(tones, small_voice, tmp_path, monkeypatch):
    """The working directory of a reader, with what the pages name."""
    monkeypatch.chdir(tmp_path)
    Path("recordings").symlink_to(tones)
    Path("recording.wav").symlink_to(tones / "high" / "s00_nohash_0.wav")
    shutil.copytree(small_voice, "runs/voice")


def run_blocks(page):
    text = (ROOT / page).read_text().replace("fsdd:PATH", "folder:recordings")
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(compile(block, page, "exec"), names)
    return names


@pytest.mark.slow
@pytest.mark.headline
def test_the_block_of_the_readme_runs(folder, capsys):
    names = run_blocks("README.md")
    accuracy, *_, label = capsys.readouterr().out.splitlines()
    assert 0 <= float(accuracy) <= 1
    assert label in ("high", "low", "middle")
    assert (Path("saved_models") / "rnn_recognizer" / "1").is_dir()
    assert len(names["speech"].samples) > 0
    names["model"].fit(np.ones([4, 3]), np.ones([4, 10]), verbose=0)
    assert names["optimizer"].iterations == 1


@pytest.mark.slow
@pytest.mark.headline
def test_the_blocks_of_the_page_run_in_their_order(folder, capsys):
    names = run_blocks("docs/python.md")
    said = capsys.readouterr()
    assert "rnn_recognizer has no setting 'epoch'; the nearest are epochs" in said.out
    assert "rnn_recognizer: " not in said.err
    assert 0 <= names["share_clipped"] <= 1
    assert 0 <= names["lost"] < 1
    assert names["best_epoch"] in range(1, 6)
    assert names["one"].label in ("high", "low", "middle")
    assert len(names["many"]) == 2
    assert names["folder"] == Path("saved_models/rnn_recognizer/1")
    assert len(list(Path("runs/tones/corpora").glob("*/*.wav"))) == 60
    with wave.open("door.wav") as file:
        assert file.getnframes() == len(names["samples"])


def load(name):
    path = ROOT / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings(tones, sentences, phoneme_times, name):
    """Settings that make an example small."""
    words = {"data": f"folder:{tones}", "synthetic_per_label": 0, "units": 8}
    sound = {"data": f"manifest:{sentences}", "sample_rate_hz": 8000, "num_mels": 16}
    dense = {"lpc_order": 8, "hidden_units": [16], "validation_sentences": 2}
    attention = {"encoder_units": 16, "encoder_layers": 1, "decoder_units": 24}
    attention |= {"hop_length_ms": 15, "validation_sentences": 2}
    attention |= {"vocoder": "griffin_lim(2)", "frames_per_symbol": 5}
    return {
        "word_recogniser": words,
        "connected_speech": {
            **{"data": f"strings:folder:{tones}", "synthetic_share": 0, "units": 8},
            "learning_rate": 0.02,
        },
        "attention_tts": sound | attention,
        "duration_based_tts": sound | dense | {"alignments": phoneme_times},
        "alignment": sound | dense,
    }[name] | FAST


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_run(name, settings, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    load(name).main("results", **settings)
    assert "<" in capsys.readouterr().out  # The run, with its scores.
    files = {path.name for path in Path("results").iterdir()}
    assert {
        "word_recogniser": {"saved_models", "config.json"},
        "connected_speech": {"saved_models", "config.json"},
        "attention_tts": {"griffin_lim_5.wav", "griffin_lim_60.wav"},
        "duration_based_tts": {"normal.wav", "fast.wav", "high.wav"},
        "alignment": {"times", "voice"},
    }[name] <= files
    if name == "duration_based_tts":
        sizes = [
            (Path("results") / f"{n}.wav").stat().st_size for n in ("normal", "fast")
        ]
        assert sizes[0] > 1.3 * sizes[1]
    if name == "alignment":
        run = tfspeech.load_run("results/voice")
        assert run.config.data.alignments.endswith("results/times")
