"""The keys of a grid of settings, as a ``matrix`` and ``tune`` have them."""

from __future__ import annotations

from collections.abc import Iterable

EXCLUDE = "exclude"  # among the keys of a grid: the combinations that are left out


def keys_of(name: str) -> tuple[str, ...]:
    """Returns the dotted keys that a key of a grid names: one, or several as ``a.b, c.d``."""
    return tuple(key.strip() for key in name.split(","))


def varied_by(names: Iterable[object]) -> list[str]:
    """Returns the dotted keys that a grid with keys of these names varies."""
    return [
        key for name in names if isinstance(name, str) and name != EXCLUDE for key in keys_of(name)
    ]
