import json

import numpy as np
import pytest
import soundfile

from tfspeech.console import run_command
from tfspeech.data.__main__ import main


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(0)
    for word in ("go", "up"):
        (tmp_path / word).mkdir()
        for name in ("ann_nohash_0", "ann_nohash_1", "bob_nohash_0", "cy_nohash_0"):
            noise = rng.uniform(-0.5, 0.5, 8000)
            soundfile.write(tmp_path / word / f"{name}.wav", noise, 8000)
    (tmp_path / "validation_list.txt").write_text(
        "go/cy_nohash_0.wav\nup/cy_nohash_0.wav\n"
    )
    return tmp_path


def run(*arguments):
    with pytest.raises(SystemExit) as done:
        run_command(main, arguments)
    return done.value.code


def test_check_prints_the_splits(corpus, capsys):
    assert run("check", f"folder:{corpus}", "--test-speakers", "bob") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"folder:{corpus} at 8000 Hz"
    assert lines[1].split() == ["split", "utterances", "speakers", "labels", "hours"]
    assert lines[2].split() == ["train", "4", "1", "2", "0.001"]
    assert lines[3].split()[:3] == ["validation", "2", "1"]
    assert lines[4].split()[:3] == ["test", "2", "1"]
    assert lines[5:] == ["no problems found"]


def test_check_lists_all_problems_and_fails(corpus, capsys):
    (corpus / "go" / "ann_nohash_0.wav").write_text("not audio")
    (corpus / "up" / "ann_nohash_0.wav").write_bytes(b"")
    assert run("check", f"folder:{corpus}", "--test-speakers=bob") == 2
    output = capsys.readouterr()
    assert "fatal: unreadable (1)" in output.out
    assert "fatal: empty (1)" in output.out
    error = output.err.splitlines()[-1]
    assert error.startswith(f"error: folder:{corpus} has fatal problems (unreadable: 1")


def test_check_as_json(corpus, capsys):
    options = ("--json", "--sample-rate-hz", "4000")
    assert run("check", f"folder:{corpus}", *options) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sample_rate_hz"] == 4000
    assert found["splits"]["validation"]["utterances"] == 2
    assert [each["kind"] for each in found["problems"]] == ["empty split"]


def test_texts_are_sentences_where_most_differ(corpus, tmp_path, capsys):
    rows = ["path,text", "go/ann_nohash_0.wav,Go up now!", "up/ann_nohash_0.wav,I ~ go"]
    manifest = tmp_path / "table.csv"
    manifest.write_text("\n".join(rows))
    assert run("check", f"manifest:{manifest}") == 2
    output = capsys.readouterr().out
    assert "sentences" in output.splitlines()[1]
    assert "fatal: unknown symbol (1)" in output
    run("check", f"manifest:{manifest}", "--texts", "labels")
    output = capsys.readouterr().out
    assert "labels" in output.splitlines()[1]
    assert "unknown symbol" not in output


@pytest.mark.parametrize("arguments", [["check"], ["look", "spoken_digits"], []])
def test_wrong_usage_is_one_line(arguments, capsys):
    assert run(*arguments) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
