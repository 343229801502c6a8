"""Files beside an exported graph that TF Serving and its clients need."""
