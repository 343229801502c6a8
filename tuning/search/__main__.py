"""`python -m tuning.search`: Keras Tuner chooses, our training loop tries."""

import signal

from tfspeech.console import run_command
from tuning.search.command import main

for number in (signal.SIGINT, signal.SIGTERM):
    # Both end it in order, also where the shell has told it to ignore the first.
    signal.signal(number, signal.default_int_handler)
run_command(main)
