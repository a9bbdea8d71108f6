"""Compression of what the clients send."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import aggregators


@aggregators("compression")
def compression(
    clients: int,
    *,
    bits: Annotated[int, Field(ge=1, le=16, description="Bits of each number.")] = 8,
    threshold: Annotated[int, Field(ge=0, description="Smaller tensors are sent whole.")] = 1000,
) -> Any:
    """Uniform quantization of each client's change, tensor by tensor, before the mean.

    A tensor with more than `threshold` numbers is sent as its smallest and largest number and
    `bits` for each number, rounded to the nearest level between them; random rounding, as in
    `tff.learning.compression_aggregator`, would not be repeatable. Built by
    `tff.aggregators.EncodedSumFactory` below `tff.aggregators.MeanFactory`, so that what is
    quantized is the change times its weight.

    Source: Suresh et al., Distributed Mean Estimation with Limited Communication, ICML 2017,
    section 2, arXiv:1611.00429.
    """
    tff: Any = import_tff()

    def compressed_bytes(weights: Sequence[np.ndarray]) -> int:
        """Returns the size of a change: TFF packs numbers into the lower 28 bits of int32."""
        return sum(
            w.nbytes if w.size <= threshold else 2 * w.itemsize + 4 * math.ceil(w.size * bits / 28)
            for w in weights
        )

    factory = tff.aggregators.MeanFactory(
        tff.aggregators.EncodedSumFactory.quantize_above_threshold(
            quantization_bits=bits, threshold=threshold, stochastic=False
        )
    )
    factory.compressed_bytes = compressed_bytes
    return factory
