"""The orders of variants that a paper gives, as ``comparison.published.order`` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def orders_in(order: Sequence[Any]) -> Sequence[Sequence[str]]:
    """Returns the orders, each with its best variant first; what is given is one or a list."""
    return [order] if order and isinstance(order[0], str) else order
