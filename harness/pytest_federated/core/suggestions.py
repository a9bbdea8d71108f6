"""How messages name what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(word: object, allowed: Iterable[str]) -> str:
    """The end of an error message: all that is allowed, and the nearest spelling if one is near."""
    names = list(allowed)
    close = difflib.get_close_matches(str(word).lower(), names, n=1, cutoff=0.6)
    return f"allowed: {', '.join(names)}" + (f"; did you mean {close[0]!r}?" if close else "")
