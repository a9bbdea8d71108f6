"""The weighted mean."""

from __future__ import annotations

from pytest_federated.training.aggregators.aggregator import aggregators


@aggregators("mean")
def mean(clients: int) -> None:
    """The mean, weighted as the algorithm says (`tff.aggregators.MeanFactory`).

    Source: McMahan et al., AISTATS 2017, algorithm 1, arXiv:1602.05629.
    """
