"""`python -m tuning.search`: Keras Tuner chooses, our training loop tries."""
