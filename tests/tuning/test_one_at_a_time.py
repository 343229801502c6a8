"""Two commands do not work in one directory."""

import pytest

from tfspeech import align
from tfspeech.files import locked
from tuning.compare import command as compare
from tuning.search import command as search


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (search.main, ["--run-dir"]),
        (compare.main, ["--run-dir"]),
        (align.main, ["reader", "--output"]),
    ],
)
def test_a_directory_in_use_is_one_line_at_once(main, arguments, tmp_path, command):
    with locked(tmp_path):
        code, _, errors = command(main, *arguments, tmp_path)
        assert code == 2
        assert len(errors) == 1
        assert f"error: {tmp_path} is in use by another command" in errors[0]


def test_a_worker_shares_the_directory_of_its_chief(tmp_path, monkeypatch):
    searched = []
    monkeypatch.setattr(search, "_run", lambda *given: searched.append(given))
    monkeypatch.setattr(search, "find_role", lambda: search.WORKER)
    given, *_ = search.parse(["--run-dir", str(tmp_path)])
    with locked(tmp_path):
        search.run(given)
    assert searched == [(given, search.WORKER)]
