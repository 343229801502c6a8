"""What TF Serving and its clients need of an exported model, beside its graph."""
