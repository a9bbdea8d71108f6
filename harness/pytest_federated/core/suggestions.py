"""Suggestions in error messages: what is allowed, and the nearest spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Optional


def suggest(word: object, allowed: Iterable[str], most: Optional[int] = None) -> str:
    """Returns the end of a message: what is allowed, and the nearest word if one is near.

    Of more than `most` words, the others are counted.
    """
    names = list(allowed)
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    close = close or difflib.get_close_matches(str(word).lower(), names, n=1, cutoff=0.6)
    shown, more = names[:most], len(names) - len(names[:most])
    listed = ", ".join(shown) + (f" and {more:,} more" if more else "")
    return f"allowed: {listed}" + (f"; did you mean {close[0]!r}?" if close else "")
