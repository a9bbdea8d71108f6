"""Dropout by name: clients that are asked to take part, and are lost before they report."""
