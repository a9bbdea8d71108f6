"""Secure aggregation, in simulation."""

from __future__ import annotations

from typing import Any

from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import aggregators


@aggregators("secure")
def secure(clients: int, *, zeroing: bool = True, clipping: bool = True) -> Any:
    """The sum as a secure protocol would give it: fixed-point numbers within bounds that adapt.

    The arithmetic is that of `tff.federated_secure_sum_bitwidth`; the cryptography is simulated,
    and nothing is hidden from anyone here. Built by `tff.learning.secure_aggregator`.

    Source: Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning,
    CCS 2017.
    """
    tff: Any = import_tff()
    return tff.learning.secure_aggregator(zeroing=zeroing, clipping=clipping)
