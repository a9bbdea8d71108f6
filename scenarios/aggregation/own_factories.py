"""Aggregators for own.yaml."""

from __future__ import annotations

from typing import Any


def as_one(*, bits: int) -> Any:
    """Averages changes that are each quantized as one long vector, not tensor by tensor."""
    import tensorflow_federated as tff

    quantized = tff.aggregators.EncodedSumFactory.quantize_above_threshold(
        quantization_bits=bits, threshold=0, stochastic=False
    )
    return tff.aggregators.concat_factory(tff.aggregators.MeanFactory(quantized))
