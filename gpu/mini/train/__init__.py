"""Trains the embedded models from scratch on rendered scenes; needs one GPU, and nothing else."""
