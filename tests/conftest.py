import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def speech_data() -> Path:
    """The folder of real recordings, where there is one."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TFSPEECH_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}; set $TFSPEECH_DATA")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory):
    """Keeps what tests decode out of the user's cache."""
    os.environ["TFSPEECH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
