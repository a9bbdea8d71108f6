"""Data sets, the splits that turn one into a federation, and the federation itself."""
