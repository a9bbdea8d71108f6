"""Which files hold scenarios, by their names."""

from __future__ import annotations

import os
import re
from pathlib import Path

DEFAULTS = "defaults.yaml"
_SUFFIXES = (".yaml", ".yml")
# Keys that other YAML files seldom have at the top.
_KEYS = re.compile(rb"^(clients|training|expect)[ \t]*:", re.MULTILINE)
_BEGINNING = 4096  # bytes


def is_yaml(path: Path) -> bool:
    """Returns whether a file is YAML, by its name."""
    return path.suffix.lower() in _SUFFIXES


def is_hidden(path: Path) -> bool:
    """Returns whether a file is hidden, as what editors write beside the file that they edit."""
    return path.name.startswith(".")


def may_hold_scenarios(path: Path) -> bool:
    """Returns whether a file may hold scenarios, by its name: YAML, not hidden, no defaults."""
    return is_yaml(path) and not is_hidden(path) and path.name != DEFAULTS


def is_misnamed_defaults(path: Path) -> bool:
    """Returns whether a name may be meant as `DEFAULTS`, such as ``defaults.yml``."""
    return is_yaml(path) and path.stem.lower() == Path(DEFAULTS).stem and path.name != DEFAULTS


def looks_like_scenarios(path: Path) -> bool:
    """Returns whether a file has keys of scenarios at its beginning."""
    try:
        with path.open("rb") as file:
            return os.path.isfile(path) and bool(_KEYS.search(file.read(_BEGINNING)))  # noqa: PTH113
    except OSError:
        return False
