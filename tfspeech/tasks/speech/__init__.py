"""What all models that speak share: frames, vocoders, scores, samples, serving."""
