"""The cross-check: one federation that several programs train, each with its own code."""
