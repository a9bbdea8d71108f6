"""The marker of tests that cause a fault; docs/reliability.md lists them."""

from __future__ import annotations

from typing import Any

import pytest


def fault(what: str, *, outcome: str, times: int = 1) -> Any:
    """Marks a test that causes the fault `what`, `times` times in each of its cases.

    `outcome` says what happens then, as the test asserts.
    """
    return pytest.mark.fault(what, outcome=outcome, times=times)
