# ruff: noqa: RUF001 -- IPA has letters that look like others.

import configparser
from pathlib import Path

import pytest

import tfspeech
from tfspeech.files import (
    LOCK_FILE,
    locked,
    read_toml,
    replacing,
    write_bytes,
    write_text,
)


def test_files_have_what_was_written_and_nothing_is_left_beside_them(tmp_path):
    path = tmp_path / "results.json"
    for text in ("ʌ one", "two"):
        write_text(path, text)
        assert path.read_bytes() == text.encode()
    write_bytes(path, b"\0")
    assert path.read_bytes() == b"\0"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_there_only_when_it_is_complete(tmp_path):
    path = tmp_path / "best.npz"
    with replacing(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        assert not list(tmp_path.glob("*.npz"))
        with replacing(path) as other:
            other.write_text("of another writer")
        assert path.read_text() == "of another writer"
    assert path.read_text() == "half"


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "results.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_tables_are_read_and_installed():
    assert read_toml("tfspeech.data", "arpabet.toml")["vowels"]["AA"] == "ɑː"
    root = Path(tfspeech.__file__).parent
    config = configparser.ConfigParser()
    config.read(root.parent / "setup.cfg")
    shipped = config["options.package_data"]["*"].split()
    tables = [path for path in root.rglob("*") if path.suffix not in (".py", ".pyc")]
    for path in filter(Path.is_file, tables):
        assert any(path.match(pattern) for pattern in shipped), path


def test_a_lock_leaves_no_folder_in_which_nothing_was_written(tmp_path):
    with locked(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run" / LOCK_FILE).exists()
    assert not (tmp_path / "new" / "run").exists()
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "results").touch()
    with locked(tmp_path / "new"):
        pass
    assert (tmp_path / "run").exists()
    assert (tmp_path / "new").exists()
