"""Files, specs and flags that make no sense: each is one line and exit code 2."""

import argparse
import dataclasses
import json
import os
import re
import struct

import numpy as np
import pytest
import soundfile

from benchmarks import __main__ as benchmarks
from models.config import restored
from tfspeech import align, client, evaluate, export, synthesize, train, transcribe
from tfspeech.audio.decode import read_audio
from tfspeech.data.__main__ import main as check
from tfspeech.data.corpora import absolute_spec, load_corpus
from tfspeech.data.manifest import Utterance
from tfspeech.data.store import prepare
from tfspeech.data.textgrid import read_textgrid
from tfspeech.errors import AudioError, CorpusError, SpecError
from tfspeech.files import read_file, read_json, read_texts
from tfspeech.serving.client import wav_contents
from tfspeech.spec import parse_expression
from tfspeech.strategies import parse_clipping
from tfspeech.strategies.variables import VariableInfo
from tfspeech.tasks.alignment.aligner import AlignmentConfig
from tfspeech.tasks.limits import RecognitionLimits, SpeechLimits
from tfspeech.tasks.registry import MODELS, default_config
from tfspeech.tasks.runs import read_config
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.config import TrainingConfig
from tfspeech.training.optimizers import Schedule, build_optimizer
from tuning.compare import command as compare
from tuning.compare.grid import split_chain
from tuning.search import command as search


def wav_that_ends_after(contents):
    """A wav file with its format chunk, whose last bytes are the given ones."""
    layout = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    return b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + layout + contents


@pytest.mark.parametrize("end", [b"data", b"data\xff", b"data\xff\xff\xff", b"\xffata"])
def test_a_wav_file_that_ends_in_a_header_is_refused(end, tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wav_that_ends_after(end))
    with pytest.raises(AudioError, match=r"x\.wav: .*no format and data chunks"):
        read_audio(path)


def test_such_a_file_is_a_problem_of_its_corpus_like_others(tmp_path):
    (tmp_path / "go").mkdir()
    soundfile.write(tmp_path / "go" / "a.wav", np.full(4000, 0.1), 8000)
    (tmp_path / "go" / "b.wav").write_bytes(wav_that_ends_after(b"data\xff"))
    os.mkfifo(tmp_path / "go" / "c.wav")
    named = os.path.join(os.fsencode(tmp_path / "go"), b"\xff.wav")
    os.rename(tmp_path / "go" / "a.wav", named)
    _, report = prepare(load_corpus(f"folder:{tmp_path}"))
    unread = [each for each in report.problems if each.kind == "unreadable"]
    assert [each.path[-5:] for each in unread] == ["b.wav", "c.wav"]
    assert "not a regular file" in unread[1].message


@pytest.fixture(params=["pipe", "device", "folder"])
def no_file(request, tmp_path):
    """A pipe that nobody writes to, a device that never ends, and a folder."""
    path = tmp_path / "x.tsv"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "read",
    [
        *(read_file, read_audio, wav_contents, read_texts, read_config, read_textgrid),
        *(read_metrics, lambda path: read_json(path, str)),
        lambda path: load_corpus(f"manifest:{path}"),
    ],
)
def test_only_regular_files_are_read(read, no_file):
    with pytest.raises((OSError, ValueError), match=r"not a (regular )?file"):
        read(no_file)


def test_tables_and_lists_of_corpora_are_regular_files(tmp_path):
    os.mkfifo(tmp_path / "metadata.csv")
    with pytest.raises(CorpusError, match="not a regular file"):
        load_corpus(f"ljspeech:{tmp_path}")
    (tmp_path / "go").mkdir()
    (tmp_path / "go" / "a.wav").touch()
    os.mkfifo(tmp_path / "testing_list.txt")
    with pytest.raises(OSError, match="not a regular file"):
        load_corpus(f"folder:{tmp_path}")


def test_a_binary_list_is_one_error(tmp_path):
    (tmp_path / "go").mkdir()
    (tmp_path / "go" / "a.wav").touch()
    (tmp_path / "testing_list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match=r"testing_list\.txt is no text in UTF-8"):
        load_corpus(f"folder:{tmp_path}")


@pytest.mark.parametrize("clips", [1, 2])
def test_lj_speech_needs_a_clip_for_each_split(clips, tmp_path):
    rows = [f"LJ{n}|a|a" for n in range(clips)]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    with pytest.raises(CorpusError, match=f"lists {clips} clips; add lines"):
        load_corpus(f"ljspeech:{tmp_path}")


@pytest.mark.parametrize("use", [load_corpus, absolute_spec])
def test_a_home_of_nobody_is_one_error(use):
    with pytest.raises(CorpusError, match="no home directory"):
        use("folder:~nobody-has-this-name/x")


MANIFEST_ROWS = {
    "NUL in a path": {"path": "a\x00b", "text": "a"},
    "surrogate in a path": {"path": "a\ud800", "text": "a"},
    "surrogate in a text": {"path": "a", "text": "\udcff"},
    "surrogate in a speaker": {"path": "a", "text": "a", "speaker": "\ud800"},
    "deep": '{"path": ' + "[" * 5000 + "]" * 5000 + "}",
    "a long number": '{"path": "a", "text": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("row", MANIFEST_ROWS.values(), ids=MANIFEST_ROWS)
def test_rows_of_a_manifest_that_make_no_sense_name_their_line(row, tmp_path):
    path = tmp_path / "x.jsonl"
    row = row if isinstance(row, str) else json.dumps(row)
    path.write_text('{"path": "b", "text": "b"}\n' + row)
    with pytest.raises(CorpusError, match=r"x\.jsonl, line 2"):
        load_corpus(f"manifest:{path}")


def test_names_of_files_need_not_be_text(tmp_path, command, small_run):
    name = os.path.join(os.fsencode(tmp_path), b"\xff.wav")
    with open(name, "wb") as file:
        soundfile.write(file, np.full(4000, 0.1), 8000, format="WAV")
    assert Utterance(tmp_path / os.fsdecode(b"\xff"), "a", "", "train")
    code, out, errors = command(transcribe.main, small_run, os.fsdecode(name))
    assert (code, errors) == (0, [])
    assert "\\udcff.wav\t" in out


SPECS = {
    "unhashable": "value({[]:1})",
    "a set in a set": "value({{1}})",
    "signs": "value(" + "-" * 100_000 + "1)",
    "brackets": "value(" + "(" * 100_000 + "1" + ")" * 100_000 + ")",
    "attributes": "value(1)" + ".a" * 50_000,
    "digits": "value(" + "9" * 5000 + ")",
    "a large number": "value(" + "9" * 400 + ")",
    "NUL": "value(1\x00)",
    "a surrogate": "value(1, match='\ud800')",
    "no text to match": "value(1, match=3)",
    "bytes": "value(1, match=b'a')",
    "no spec in a spec": "error_feedback(3)",
    "pattern": "value(1, match='(')",
    "repeated": "value(1, match='((a{100}){100}){100}')",
    "look ahead": "value(1, match='(?=a)')",
    "back reference": r"value(1, match='(a)\\1')",
    "long": "value(1, match='" + "(" * 2000 + ")" * 2000 + "')",
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_specs_that_make_no_sense_are_one_error(spec):
    with pytest.raises(SpecError):
        parse_clipping([spec])


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "^(a|a)*$", "(.*)*(.*)*(.*)*x", "(a|aa)+$"]
)
def test_no_pattern_takes_long(pattern):
    """Engines that backtrack take until the end of the world."""
    (strategy,) = parse_clipping([f"value(1, match={pattern!r})"])
    info = VariableInfo("a" * 1000 + "!", "kernel", (0,), 1, 1, (1,))
    assert not strategy.selects(info)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("exponential(steps=0)", "steps must be at least 1"),
        ("exponential(steps=1.5)", "steps must be a whole number"),
        ("exponential(0)", "rate must be above 0"),
        ("exponential('x')", "rate must be above 0"),
        ("cosine(-5)", r"final must be in \[0, 1\]"),
        ("cosine(1e400)", r"final must be in \[0, 1\]"),
        ("cosine(None)", r"final must be in \[0, 1\]"),
    ],
)
def test_arguments_of_schedules_have_ranges(spec, reason):
    with pytest.raises(SpecError, match=reason):
        Schedule(spec, 1.0, 0, 10)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("adam(beta_1='x')", "beta_1 must be in"),
        ("adam(beta_2=1)", "beta_2 must be in"),
        ("adam(epsilon=0)", "epsilon must be above 0"),
        ("adamw(-1)", "weight_decay must be 0 or more"),
        ("sgd(momentum=2)", "momentum must be in"),
        ("sgd(())", "momentum must be in"),
        ("sgd((0.5, 0.5))", "momentum must be in"),
        ("sgd(nesterov=1)", "nesterov must be true or false"),
        ("rmsprop(rho=-1)", "rho must be in"),
    ],
)
def test_arguments_of_optimizers_have_ranges(spec, reason):
    with pytest.raises(SpecError, match=reason):
        build_optimizer(spec, 0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 1.5), ("epochs", 2**31), ("epochs", True), ("seed", 10**30)),
        *(("optimizer", 3), ("clip", 3), ("clip", [3]), ("clip", None)),
        *(("schedule", None), ("distribute", []), ("learning_rate", "1")),
    ],
)
def test_values_of_another_type_are_refused(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        restored(TrainingConfig, {name: value})


def test_long_specs_do_not_reach_the_parser_of_python():
    with pytest.raises(ValueError, match="more than 10000 characters"):
        parse_expression("1" + "+1" * 5000)


def test_chains_that_make_no_sense_are_left_to_the_parser_of_specs():
    for chain in ("-" * 100_000 + "1", "a" + "+a" * 50_000, "(" * 300, "\x00"):
        assert split_chain(chain) == (chain,)


BAD_NUMBERS = ["nan", "inf", "-inf", "1e400", "x", "", "9" * 400, "9" * 5000, "0x10"]
SPEAKING = ["--rate", "--pitch", "--pitch-range", "--energy"]
FLAGS = {
    "client": (
        client.main,
        ["--url=http://127.0.0.1:9", "--model=m", "text"],
        ["--timeout", "--retries", "--model-version", *SPEAKING],
    ),
    "synthesize": (synthesize.main, ["/no/run", "text"], [*SPEAKING, "--count"]),
    "data": (check, ["check", "folder:/no/corpus"], ["--sample-rate-hz"]),
    "align": (
        align.main,
        ["folder:/no/corpus", "--output=/no/folder"],
        ["--num-mels", "--hop-length-ms", "--sample-rate-hz", "--frame-length-ms"],
    ),
    "compare": (compare.main, ["--data=folder:/no"], ["--target-loss", "--seeds"]),
    "search": (search.main, ["--data=folder:/no"], ["--max-trials", "--seeds"]),
    "train": (
        train.main,
        ["--data=folder:/no/corpus"],
        [
            "--learning-rate",
            "--max-seconds",
            "--time-shift-ms",
            "--gain-db",
            "--epochs",
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "flag"), [(name, flag) for name, row in FLAGS.items() for flag in row[2]]
)
def test_numbers_that_are_none_are_one_line(name, flag, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main, needed, _ = FLAGS[name]
    for value in BAD_NUMBERS:
        code, out, errors = command(main, *needed, f"{flag}={value}")
        assert (code, out, len(errors)) == (2, "", 1), (value, errors)
        field = flag[2:].replace("-", ".")
        field = {"pitch": "(pitch|semitones)"}.get(field, field)
        assert len(errors[0]) < 3000
        assert re.search(field, errors[0]), (value, errors)


OUT_OF_RANGE = {
    ("client", "--timeout"): "0 -1 1e9",
    ("client", "--retries"): "-1 1e3 1.5 1000000",
    ("client", "--model-version"): "-1 1.5 9223372036854775808",
    ("client", "--rate"): "0 -1 5",
    ("client", "--pitch"): "-25 25",
    ("client", "--pitch-range"): "-1 5",
    ("client", "--energy"): "-30 30",
    ("synthesize", "--rate"): "0 -1 5",
    ("synthesize", "--count"): "0 -1 1.5 10001",
    ("data", "--sample-rate-hz"): "-1 3 500000",
    ("align", "--sample-rate-hz"): "-1 3 500000",
    ("train", "--sample-rate-hz"): "-1 3 500000",
    ("compare", "--seeds"): "0 -1 1000000000000",
    ("search", "--seeds"): "0 -1",
    ("search", "--max-trials"): "0 -1",
}


@pytest.mark.parametrize(("key", "values"), OUT_OF_RANGE.items())
def test_numbers_out_of_range_are_one_line(key, values, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, flag = key
    main, needed, _ = FLAGS[name]
    for value in values.split():
        code, out, errors = command(main, *needed, f"{flag}={value}")
        assert (code, out, len(errors)) == (2, "", 1), (value, errors)
        assert "must be" in errors[0] or "invalid int" in errors[0], errors


COMMANDS = {
    **{name: main for name, (main, *_) in FLAGS.items()},
    **{"evaluate": evaluate.main, "export": export.main, "transcribe": transcribe.main},
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_number_on_a_command_line_is_tested(name, monkeypatch, command):
    """Here, or as an option of a configuration in `test_options`."""
    seen = set()
    add = argparse._ActionsContainer.add_argument

    def record(container, *flags, **options):
        kind = options.get("type")
        if kind in (int, float) or getattr(kind, "__name__", "") == "read":
            seen.update(flags)
        return add(container, *flags, **options)

    monkeypatch.setattr(argparse._ActionsContainer, "add_argument", record)
    assert command(COMMANDS[name], "--help")[0] == 0
    sections = [AlignmentConfig(), align.default_features()]
    sections += [RecognitionLimits(), SpeechLimits()]
    for model in MODELS:
        sections += default_config(model).sections().values()
    fields = {field.name for each in sections for field in dataclasses.fields(each)}
    options = {"--" + field.replace("_", "-") for field in fields}
    assert seen - options <= set(FLAGS.get(name, ((), (), ()))[2])


def test_the_benchmarks_run_all_parts_unless_some_are_named(command, monkeypatch):
    ran = []
    parts = {name: lambda name=name: ran.append(name) for name in ("one", "two")}
    monkeypatch.setattr(benchmarks, "PARTS", parts)
    assert command(benchmarks.main)[0] == 0
    assert ran == ["one", "two"]
    assert command(benchmarks.main, "two")[0] == 0
    assert ran == ["one", "two", "two"]


def test_the_help_of_the_benchmarks_runs_none(command, capsys):
    code, out, errors = command(benchmarks.main, "--help")
    assert (code, errors) == (0, [])
    assert out.startswith("usage: ")
    code, out, (error,) = command(benchmarks.main, "nothing")
    assert (code, out) == (2, "")
    assert "unknown part 'nothing'" in error
