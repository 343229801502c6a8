"""`python -m tuning.compare`: trains candidates side by side and reports on them."""

import signal

from tfspeech.console import run_command
from tuning.compare.command import main

for number in (signal.SIGINT, signal.SIGTERM):
    # Both end it in order, also where the shell has told it to ignore the first.
    signal.signal(number, signal.default_int_handler)
run_command(main)
