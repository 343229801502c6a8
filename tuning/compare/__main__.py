"""`python -m tuning.compare`: trains candidates side by side and reports on them."""

from tuning.command import run_interruptible
from tuning.compare.command import main

run_interruptible(main)
