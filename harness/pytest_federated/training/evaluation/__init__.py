"""Judging a model: on the test set, for each client, and after each client's fine-tuning."""
