"""Plots of reports: every module that registers a function adds one, see `plot`."""
