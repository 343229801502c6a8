"""What models are trained for: losses, scores, decoding and serving."""
