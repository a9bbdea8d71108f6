"""Optimizers by name, each one of `tff.learning.optimizers`, for clients and for the server."""
