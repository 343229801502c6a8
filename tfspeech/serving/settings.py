"""The settings of a server of all exported models: `models.config`, `batching.config`.

Both are protocol buffers as text: `ModelServerConfig` and `BatchingParameters` of TF
Serving.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfspeech.errors import RunError
from tfspeech.files import write_text
from tfspeech.tasks.limits import MAX_BATCH_SIZE

MODELS_FILE = "models.config"
BATCHING_FILE = "batching.config"
SERVER_FOLDER = "/models"
"""Where the official image expects models; servers want absolute paths."""

_BATCHING = f"""\
# For --enable_batching --batching_parameters_file. Waveforms and texts differ in
# length: the server pads them, and the models look at nothing beyond their lengths.
pad_variable_length_inputs: true
# A batch runs as soon as it is full, or its first request has waited so long.
max_batch_size {{ value: {MAX_BATCH_SIZE} }}
batch_timeout_micros {{ value: 2000 }}
# Batches at work at the same time; as many as the server has cores is a good start.
num_batch_threads {{ value: 4 }}
# Batches that wait; requests beyond them are refused as UNAVAILABLE.
max_enqueued_batches {{ value: 64 }}
"""


def write_settings(output: Path) -> None:
    """Lists all exported models for a server, and has it batch requests.

    A model that is listed stays as it is listed: its path or version policy may have
    been set by hand. Batching settings that are there stay, too.

    Args:
        output: Of the exports, `<model>/<version>/`.

    Raises:
        RunError: The list that is there cannot be read.
    """
    listed = listed_models(output)
    config = model_server_config_pb2.ModelServerConfig()
    for name in exported_models(output):
        entry = model_server_config_pb2.ModelConfig(
            name=name, base_path=f"{SERVER_FOLDER}/{name}", model_platform="tensorflow"
        )
        config.model_config_list.config.append(listed.get(name, entry))
    write_text(output / MODELS_FILE, text_format.MessageToString(config))
    if not (output / BATCHING_FILE).exists():
        write_text(output / BATCHING_FILE, _BATCHING)


def listed_models(output: Path) -> dict[str, model_server_config_pb2.ModelConfig]:
    """The models that are listed for a server, by name.

    Raises:
        RunError: The list cannot be read.
    """
    path = output / MODELS_FILE
    if not path.exists():
        return {}
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise RunError(
            f"{path} is no ModelServerConfig ({error}); correct it, or delete it to "
            "have it written anew"
        ) from error
    return {entry.name: entry for entry in config.model_config_list.config}


def exported_models(output: Path) -> list[str]:
    """The names of the models that have a version, sorted."""
    found = output.glob("*/*/saved_model.pb")
    return sorted({p.parent.parent.name for p in found if p.parent.name.isdecimal()})


def latest_version(model: Path) -> Path:
    """The folder of the newest version, which a server serves by default."""
    versions = [p for p in model.iterdir() if p.name.isdecimal()]
    return max(versions, key=lambda p: int(p.name))
