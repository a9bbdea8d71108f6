"""What is guessed of some data, with the reason for each guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Keys of `data.dataset` that are written in a line of their own, in this order.
Settings = dict[str, Any]


@dataclass
class Guess:
    """How some data is read.

    Attributes:
        name: what the scenario may be called.
        settings: the keys of `data.dataset`, the one that names the data first; only `kind` for a
            registered data set without keys.
        reasons: why a key has its value, by key.
        left_out: why a column is not learned from, by column; these are under `exclude`.
        notes: what else is worth saying.

    """

    name: str
    settings: Settings
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])

    def add(self, key: str, value: Any, reason: str) -> None:
        """Adds a key of `data.dataset`."""
        self.settings[key] = value
        self.reasons[key] = reason
