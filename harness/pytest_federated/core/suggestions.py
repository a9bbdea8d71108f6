"""Suggestions in error messages: what is allowed, and the nearest spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(word: object, allowed: Iterable[str]) -> str:
    """Returns the end of a message: all that is allowed, and the nearest word if one is near."""
    names = list(allowed)
    close = difflib.get_close_matches(str(word).lower(), names, n=1, cutoff=0.6)
    return f"allowed: {', '.join(names)}" + (f"; did you mean {close[0]!r}?" if close else "")
