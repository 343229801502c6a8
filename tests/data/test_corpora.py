import collections
import json

import pytest

from tfspeech.data.corpora import LAYOUTS, load_corpus
from tfspeech.errors import CorpusError, SpecError, TfspeechError
from tfspeech.text.front_end import TextFrontEnd


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def splits(corpus):
    return {each.audio.name: each.split for each in corpus.utterances}


def counts(corpus):
    return collections.Counter(each.split for each in corpus.utterances)


def write_manifest(folder, name, rows):
    path = folder / name
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        mark = "," if path.suffix == ".csv" else "\t"
        lines = [rows[0].keys(), *(row.values() for row in rows)]
        path.write_text("".join(mark.join(line) + "\n" for line in lines))
    return f"manifest:{path}"


@pytest.fixture
def fsdd(tmp_path):
    names = [
        f"recordings/{digit}_{speaker}_{index}.wav"
        for digit in "07"
        for speaker in ("ann", "bob", "cy")
        for index in range(12)
    ]
    return touch(tmp_path, *names)


def test_fsdd_has_its_own_test_split(fsdd):
    corpus = load_corpus(f"fsdd:{fsdd}")
    assert corpus.utterances == load_corpus(f"fsdd:{fsdd}/recordings").utterances
    assert corpus.speakers() == ["ann", "bob", "cy"]
    assert counts(corpus) == {"test": 30, "validation": 4, "train": 38}
    found = splits(corpus)
    assert found["0_ann_4.wav"] == "test"
    assert "test" not in (found["7_cy_5.wav"], found["7_bob_8.wav"])
    seven = next(u for u in corpus.utterances if u.audio.name == "7_bob_8.wav")
    assert (seven.text, seven.speaker) == ("7", "bob")


def test_test_speakers_are_all_of_the_test_split(fsdd):
    corpus = load_corpus(f"fsdd:{fsdd}", ["bob"])
    before = load_corpus(f"fsdd:{fsdd}")
    assert {u.speaker for u in corpus.split("test")} == {"bob"}
    assert all(u.split == "test" for u in corpus.utterances if u.speaker == "bob")
    for old, new in zip(before.utterances, corpus.utterances, strict=True):
        assert old.audio == new.audio
        if old.speaker != "bob":
            assert new.split == ("validation" if old.split == "test" else "train")


def test_unknown_test_speakers_are_refused(fsdd):
    with pytest.raises(
        CorpusError, match=r"no speaker dan, eve; .* are: ann, bob, cy$"
    ):
        load_corpus(f"fsdd:{fsdd}", ["ann", "dan", "eve"])


def test_fsdd_refuses_other_names(fsdd):
    touch(fsdd, "recordings/ann0.wav")
    with pytest.raises(CorpusError, match=r"ann0.wav is not named .*folder:PATH"):
        load_corpus(f"fsdd:{fsdd}")


def test_real_fsdd(speech_data):
    corpus = load_corpus(f"fsdd:{speech_data / 'fsdd'}")
    assert counts(corpus) == {"test": 200, "validation": 180, "train": 1620}
    assert {each.text for each in corpus.utterances} == set("0123456789")


def test_folder_honours_lists_and_noises(tmp_path):
    touch(
        tmp_path,
        *(f"{word}/{who}_nohash_0.wav" for word in ("go", "up") for who in "abc"),
        *("_background_noise_/rain.wav", "_background_noise_/README.md"),
        *(".git/x.wav", "go/notes.txt"),
    )
    (tmp_path / "validation_list.txt").write_text("go/a_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("go/b_nohash_0.wav\nno/x.wav\n")
    corpus = load_corpus(f"folder:{tmp_path}")
    assert [path.name for path in corpus.noises] == ["rain.wav"]
    assert corpus.speakers() == ["a", "b", "c"]
    assert [(u.text, u.speaker, u.split) for u in corpus.utterances] == [
        ("go", "a", "validation"),
        ("go", "b", "test"),
        ("go", "c", "train"),
        ("up", "a", "train"),
        ("up", "b", "train"),
        ("up", "c", "train"),
    ]


def test_folder_hashes_as_speech_commands_does(tmp_path):
    touch(tmp_path, *(f"go/{number:08x}_nohash_1.wav" for number in range(400)))
    touch(tmp_path, *(f"up/{number:08x}_nohash_0.ogg" for number in range(400)))
    corpus = load_corpus(f"folder:{tmp_path}")
    by_speaker = collections.defaultdict(set)
    for each in corpus.utterances:
        by_speaker[each.speaker].add(each.split)
    assert all(len(found) == 1 for found in by_speaker.values())
    shares = {split: count / 800 for split, count in counts(corpus).items()}
    assert shares["validation"] == pytest.approx(0.1, abs=0.04)
    assert shares["test"] == pytest.approx(0.1, abs=0.04)


def test_folder_agrees_with_the_published_testing_list(tmp_path):
    touch(tmp_path, "right/bb05582b_nohash_3.wav", "zero/bb05582b_nohash_1.wav")
    touch(tmp_path, "right/988e2f9a_nohash_0.wav")
    found = splits(load_corpus(f"folder:{tmp_path}"))
    assert found["bb05582b_nohash_3.wav"] == found["bb05582b_nohash_1.wav"] == "test"


def test_small_folder_has_all_splits(tmp_path):
    touch(tmp_path, *(f"{word}/1.FLAC" for word in "abcdef"))
    corpus = load_corpus(f"folder:{tmp_path}")
    assert counts(corpus) == {"train": 4, "validation": 1, "test": 1}
    assert corpus.speakers() == []


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_manifest_formats(tmp_path, suffix):
    rows = [
        {"path": "a/1.wav", "text": "yes", "speaker": "ann", "split": "train"},
        {"path": "/b/2.wav", "text": "né", "speaker": "", "split": "test"},
        {"path": "a/3.wav", "text": "yes", "speaker": "bob", "split": "validation"},
    ]
    corpus = load_corpus(write_manifest(tmp_path, f"m{suffix}", rows))
    assert [str(u.audio) for u in corpus.utterances] == [
        f"{tmp_path}/a/1.wav",
        "/b/2.wav",
        f"{tmp_path}/a/3.wav",
    ]
    assert [(u.text, u.speaker, u.split) for u in corpus.utterances] == [
        (row["text"], row["speaker"], row["split"]) for row in rows
    ]


def test_manifest_without_splits_is_split(tmp_path):
    rows = [{"path": f"{n}.wav", "text": "ab"[n % 2]} for n in range(100)]
    corpus = load_corpus(write_manifest(tmp_path, "m.csv", rows))
    assert counts(corpus) == {"train": 80, "validation": 10, "test": 10}


def test_manifest_with_many_speakers_is_split_by_speaker(tmp_path):
    rows = [
        {"path": f"{n}.wav", "text": "a", "speaker": f"s{n % 10}"} for n in range(50)
    ]
    corpus = load_corpus(write_manifest(tmp_path, "m.jsonl", rows))
    assert counts(corpus) == {"train": 40, "validation": 5, "test": 5}
    assert len({(u.speaker, u.split) for u in corpus.utterances}) == 10


def test_missing_validation_split_is_held_out(tmp_path):
    rows = [
        {"path": f"{n}.wav", "text": "a", "split": "test" if n < 5 else "train"}
        for n in range(25)
    ]
    corpus = load_corpus(write_manifest(tmp_path, "m.csv", rows))
    assert counts(corpus) == {"train": 18, "validation": 2, "test": 5}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "file,words\na,b\n", "lacks path and text; .*Received: file, words$"),
        ("m.csv", "path\na\n", "lacks text; .*Received: path$"),
        ("m.csv", "path,text\n", "lists no recordings"),
        ("m.jsonl", "", "lists no recordings"),
        ("m.jsonl", '{"path": "a"}\n', "line 1 lacks text; needed are path, text"),
        ("m.jsonl", "{}\n", "lacks path and text.*Received: none"),
        ("m.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("m.jsonl", "\n{\n", "line 2 is not JSON"),
        ("m.csv", "path,text\n,yes\n", "line 2 has no path"),
        ("m.csv", "path,text,split\na,b,dev\n", "line 2: split .*Received: 'dev'"),
        ("m.csv", b"path,text\na,\xff\n", "not a table in UTF-8"),
        ("m.txt", "a", "must end in .csv, .tsv or .jsonl"),
    ],
)
def test_bad_manifests_are_refused(tmp_path, name, content, message):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message) as error:
        load_corpus(f"manifest:{tmp_path / name}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_refuse_a_wrong_argument(name):
    layout = name.partition(":")[0]
    wrong = layout if ":" in name else f"{layout}:x"
    with pytest.raises(SpecError, match=f"is named {name}. Received: '{wrong}'"):
        load_corpus(wrong)


def test_bad_specs_are_refused(tmp_path):
    with pytest.raises(SpecError, match=r"known ones are .*manifest:FILE.*'xy'"):
        load_corpus("xy")
    for layout in ("fsdd", "folder", "manifest"):
        with pytest.raises(CorpusError, match="nowhere does not exist"):
            load_corpus(f"{layout}:{tmp_path}/nowhere")
        with pytest.raises(TfspeechError, match=str(tmp_path)):
            load_corpus(f"{layout}:{tmp_path}")


def write_ljspeech(folder, lines):
    (folder / "metadata.csv").write_text("".join(f"{line}\n" for line in lines))
    return f"ljspeech:{folder}"


def test_ljspeech_reads_the_normalised_text(tmp_path):
    lines = ['LJ001-0001|In 5 "days|In five "days', "LJ001-0002|two|", "", "LJ1-3|x"]
    corpus = load_corpus(write_ljspeech(tmp_path, lines))
    assert [each.text for each in corpus.utterances] == ['In five "days', "two", "x"]
    assert corpus.utterances[0].audio == tmp_path / "wavs" / "LJ001-0001.wav"
    assert corpus.speakers() == ["LJ"]


@pytest.mark.parametrize(("size", "held_out"), [(50, 5), (2000, 100)])
def test_ljspeech_holds_out_a_tenth_but_at_most_100(tmp_path, size, held_out):
    lines = [f"LJ001-{number:04}|text|text {number}" for number in range(size)]
    found = counts(load_corpus(write_ljspeech(tmp_path, lines)))
    assert found["validation"] == found["test"] == held_out
    assert found["train"] == size - 2 * held_out


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "lists no clips"),
        (["LJ001-0001|a|b", "LJ001-0002"], "line 2 is not ID.text.normalised text"),
        (["|a|b"], "line 1 is not"),
        (["a|b|c|d"], "line 1 is not.*Received: 'a.b.c.d'"),
        (["a| | "], "line 1 is not"),
    ],
)
def test_ljspeech_refuses(tmp_path, lines, message):
    with pytest.raises(CorpusError, match=message):
        load_corpus(write_ljspeech(tmp_path, lines))


def test_ljspeech_needs_its_table(tmp_path):
    with pytest.raises(CorpusError, match=r"cannot be read.*metadata.csv and wavs"):
        load_corpus(f"ljspeech:{tmp_path}")
    (tmp_path / "metadata.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(CorpusError, match="cannot be read"):
        load_corpus(f"ljspeech:{tmp_path}")


def test_the_real_ljspeech_can_be_spoken(speech_data):
    corpus = load_corpus(f"ljspeech:{speech_data / 'ljspeech'}")
    assert counts(corpus) == {"train": 267, "validation": 34, "test": 34}
    assert all(each.audio.is_file() for each in corpus.utterances)
    front_end = TextFrontEnd()
    assert all(front_end.encode(each.text).size for each in corpus.utterances)
