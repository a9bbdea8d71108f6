"""Aggregators that own.yaml names."""

from __future__ import annotations

from typing import Any


def as_one(*, bits: int) -> Any:
    """The mean of changes that are quantized as one long vector each, not tensor by tensor."""
    import tensorflow_federated as tff

    quantized = tff.aggregators.EncodedSumFactory.quantize_above_threshold(
        quantization_bits=bits, threshold=0, stochastic=False
    )
    return tff.aggregators.concat_factory(tff.aggregators.MeanFactory(quantized))
