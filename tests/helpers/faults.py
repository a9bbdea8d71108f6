"""The marker of tests that bring about a fault, whose rows make up docs/reliability.md."""

from __future__ import annotations

from typing import Any

import pytest


def fault(what: str, *, outcome: str, times: int = 1) -> Any:
    """Marks a test that brings about the fault `what`, each of its cases `times` times.

    `outcome` says what then happens, as the test asserts it.
    """
    return pytest.mark.fault(what, outcome=outcome, times=times)
