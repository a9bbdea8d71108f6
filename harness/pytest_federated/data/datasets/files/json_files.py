"""JSON files of the user's data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_federated.core.errors import DataError


def read_json(file: Path) -> Any:
    """Returns what a JSON file holds.

    Raises:
        DataError: it cannot be read.

    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error


def read_mapping(file: Path) -> dict[str, Any]:
    """Returns the mapping that a JSON file holds.

    Raises:
        DataError: it cannot be read, or holds something else.

    """
    content = read_json(file)
    if not isinstance(content, dict):
        raise DataError(f"{file} cannot be read: it should hold a mapping")
    return content
