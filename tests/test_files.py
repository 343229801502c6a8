import pytest

from tfspeech.files import replacing, write_bytes, write_text


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
