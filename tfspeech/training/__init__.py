"""The training step, the loop around it and the actions that watch it."""
