"""Scenario files: what they may say, and how they are read."""

from harness.scenario.loader import Case, load_file
from harness.scenario.schema import Scenario

__all__ = ["Case", "Scenario", "load_file"]
