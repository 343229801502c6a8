"""`python -m tuning.search`: Keras Tuner searches hyperparameters over our loop."""
