"""The order in which people list names with numbers in them."""

from __future__ import annotations

import math
import re


def natural(name: str) -> list[tuple[float, str]]:
    """Returns a sort key by which numbers count: ``[alpha=0.5]``, ``[alpha=1]``, ``[alpha=10]``.

    The variants of ``cnn`` come before ``cnn-large``.
    """
    pieces = re.split(r"(\d+(?:\.\d+)?)", name.replace("[", "\0"))  # every second one is a number
    return [(float(p), "") if index % 2 else (math.inf, p) for index, p in enumerate(pieces)]
