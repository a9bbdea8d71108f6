"""Stragglers by name: clients that do only a part of their local steps before the round ends."""
