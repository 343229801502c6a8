"""The blocks of docs/strategies_in_your_code.md, as they stand."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import tfspeech

PAGE = Path(__file__).parents[1] / "docs" / "strategies_in_your_code.md"


@pytest.mark.slow
@pytest.mark.headline
def test_the_blocks_of_the_page_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^ *```python\n(.*?)^ *```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == 8
    names = {}
    for block in blocks:
        exec(compile(textwrap.dedent(block), PAGE.name, "exec"), names)
    assert names["optimizer"].iterations == 8
    assert len(names["clipped"]) == 4
    assert all(np.isfinite(value).all() for value in names["clipped"])
    assert {name.name for name in Path("runs/mine").iterdir()} == {
        "metrics.jsonl",
        "plots",
        "tensorboard",
    }


def test_the_page_names_what_the_package_has():
    named = set(re.findall(r"tfspeech\.([A-Za-z]+)\(", PAGE.read_text()))
    assert named == {"Clipped", "Diagnostics", "regularize"}
    assert named <= set(dir(tfspeech))
