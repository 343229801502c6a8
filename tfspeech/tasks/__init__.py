"""Tasks of models: losses, scores, decoding and serving."""
