"""Zeroing and clipping of changes that are too large, before their weighted mean."""

from __future__ import annotations

import math
from typing import Annotated, Any, Optional

from pydantic import Field

from pytest_federated.tff.imports import import_tff
from pytest_federated.training.aggregators.aggregator import aggregators

Norm = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Quantile = Annotated[float, Field(ge=0, le=1)]


@aggregators("zeroing")
def zeroing(
    clients: int,
    *,
    norm: Optional[Norm] = None,
    initial: Norm = 10.0,
    quantile: Quantile = 0.98,
) -> Any:
    """Sets a change to zero if its largest coordinate is above a bound; its weight stays.

    The bound is `norm` if that is set. Otherwise it adapts, from `initial`, to twice the `quantile`
    of the clients' largest coordinates and 1 more, as in `tff.learning.robust_aggregator`. Built
    by `tff.aggregators.zeroing_factory`.
    """
    tff: Any = import_tff()
    bound = norm or zeroing_bound(initial, quantile)
    return tff.aggregators.zeroing_factory(bound, tff.aggregators.MeanFactory())


def zeroing_bound(
    initial: float = 10.0, quantile: float = 0.98, secure_estimation: bool = False
) -> Any:
    """Returns a `tff.templates.EstimationProcess` of the adaptive bound of `zeroing`."""
    tff: Any = import_tff()
    return tff.aggregators.PrivateQuantileEstimationProcess.no_noise(
        initial_estimate=initial,
        target_quantile=quantile,
        learning_rate=math.log(10.0),
        multiplier=2.0,
        increment=1.0,
        secure_estimation=secure_estimation,
    )


@aggregators("clipping")
def clipping(
    clients: int,
    *,
    norm: Optional[Norm] = None,
    initial: Norm = 1.0,
    quantile: Quantile = 0.8,
    learning_rate: Norm = 0.2,
) -> Any:
    """Scales a change down to a bound if its L2 norm is above it.

    The bound is `norm` if that is set. Otherwise it adapts, from `initial`, to the `quantile` of
    the clients' norms: it is multiplied by exp(-learning_rate * (b - quantile)), b being the share
    of clients that were not above it. Built by `tff.aggregators.clipping_factory`.

    Source: Andrew, Thakkar et al., Differentially Private Learning with Adaptive Clipping,
    NeurIPS 2021, algorithm 1 without its noise, arXiv:1905.03871; against attacks that boost:
    Sun et al., Can You Really Backdoor Federated Learning?, 2019, arXiv:1911.07963.
    """
    tff: Any = import_tff()
    bound = norm or tff.aggregators.PrivateQuantileEstimationProcess.no_noise(
        initial_estimate=initial, target_quantile=quantile, learning_rate=learning_rate
    )
    return tff.aggregators.clipping_factory(bound, tff.aggregators.MeanFactory())


@aggregators("robust")
def robust(clients: int, *, zeroing: bool = True, clipping: bool = True) -> Any:
    """TFF's default for training on devices: adaptive zeroing, then adaptive clipping.

    Built by `tff.learning.robust_aggregator`.
    """
    tff: Any = import_tff()
    return tff.learning.robust_aggregator(zeroing=zeroing, clipping=clipping)
