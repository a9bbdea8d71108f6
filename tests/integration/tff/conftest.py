"""Fixtures for tests of TFF's data sets and of remote workers."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import URLError

import pytest
from pytest_federated.tff.context import shutdown
from remote_workers import Served, serve


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes downloads fail, as without a network."""

    def urlopen(url: Any, timeout: float = 0) -> io.BytesIO:
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


@pytest.fixture(scope="module")
def lasting(tff: Any) -> Iterator[list[Served]]:
    """Three workers that all tests of a file share."""
    started = serve(3)
    yield started
    shutdown()
    for served in started:
        served.end()


@pytest.fixture
def mortal(tff: Any) -> Iterator[list[Served]]:
    """Three workers that a test may kill."""
    started = serve(3)
    yield started
    shutdown()
    for served in started:
        served.end()
