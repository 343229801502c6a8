"""librosa is imported by one process at a time."""

import os

import pytest
from filelock import FileLock, Timeout

from tfspeech.audio import numba_cache


@pytest.fixture
def imported(monkeypatch, tmp_path):
    """A module imported under the lock of a cache in `tmp_path`."""
    names = []

    def import_module(name):
        with pytest.raises(Timeout):
            FileLock(tmp_path / "numba" / ".lock").acquire(timeout=0)
        names.append(name)

    monkeypatch.setattr(numba_cache.importlib, "import_module", import_module)
    return names


def test_the_cache_is_locked_while_numba_may_write_it(imported, monkeypatch, tmp_path):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    numba_cache.import_librosa.__wrapped__("filters")
    assert imported == ["librosa.filters"]
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "numba")


def test_the_folder_of_the_user_is_kept(imported, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    numba_cache.import_librosa.__wrapped__("filters")
    assert imported == ["librosa.filters"]
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "numba")


def test_without_a_cache_numba_looks_for_another(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path / "file"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    filters = numba_cache.import_librosa.__wrapped__("filters")
    assert filters.mel(sr=8000, n_fft=256).shape == (128, 129)
    assert "NUMBA_CACHE_DIR" not in os.environ
