"""Settings by dotted key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields dotted key and value of each setting, in order; an empty mapping counts as a value."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            section = cast(Mapping[str, Any], value)
            yield from flat(section, f"{prefix}{key}.")
        else:
            yield prefix + key, value
