"""Training runs: their configurations, and the directories that hold all of them."""

from tfspeech.runs.config import Data, RunConfig, Task, Training
from tfspeech.runs.directory import (
    check_same,
    has_run,
    load_config,
    load_task,
    read_config,
    save_config,
)
from tfspeech.runs.parametric import ParametricRun
from tfspeech.runs.places import (
    CHECKPOINTS,
    CONFIG_FILE,
    METRICS_FILE,
    PLOTS,
    REPORT_FILE,
    RESULTS_FILE,
    SAMPLES,
    TENSORBOARD,
)
from tfspeech.runs.recipes import default_config, parse_config
from tfspeech.runs.recognition import RecognitionRun
from tfspeech.runs.synthesis import SynthesisRun

__all__ = [
    "CHECKPOINTS",
    "CONFIG_FILE",
    "METRICS_FILE",
    "PLOTS",
    "REPORT_FILE",
    "RESULTS_FILE",
    "SAMPLES",
    "TENSORBOARD",
    "Data",
    "ParametricRun",
    "RecognitionRun",
    "RunConfig",
    "SynthesisRun",
    "Task",
    "Training",
    "check_same",
    "default_config",
    "has_run",
    "load_config",
    "load_task",
    "parse_config",
    "read_config",
    "save_config",
]
