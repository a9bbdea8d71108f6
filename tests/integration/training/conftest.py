"""Fixtures that the tests of training share."""

from __future__ import annotations

import pytest
from example_data import federation
from pytest_federated.data.federation import FederatedData


@pytest.fixture(scope="module")
def data() -> FederatedData:
    """Five clients of very different sizes."""
    return federation([30, 4, 17, 9, 1], 0)
