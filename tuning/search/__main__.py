"""`python -m tuning.search`: Keras Tuner searches hyperparameters over our loop."""

from tuning.command import run_interruptible
from tuning.search.command import main

run_interruptible(main)
