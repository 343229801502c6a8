"""Common parts of models that speak: frames, vocoders, scores, samples, serving."""
