"""Aggregators by name: what the server makes of its clients' changes of the model.

An aggregator function takes the number of clients that a round is expected to have, and its keys
from the scenario file. It returns a factory of `tff.aggregators`, or None for the plain mean.
"""

from harness.training.aggregators.base import aggregators, build, stacked
from harness.training.aggregators.clipping import clipping, robust, zeroing
from harness.training.aggregators.compression import compression
from harness.training.aggregators.differential_privacy import dp, dp_ftrl
from harness.training.aggregators.distributed_privacy import distributed_dp
from harness.training.aggregators.mean import mean
from harness.training.aggregators.median import median, trimmed_mean
from harness.training.aggregators.own import own
from harness.training.aggregators.secure import secure

__all__ = [
    "aggregators",
    "build",
    "clipping",
    "compression",
    "distributed_dp",
    "dp",
    "dp_ftrl",
    "mean",
    "median",
    "own",
    "robust",
    "secure",
    "stacked",
    "trimmed_mean",
    "zeroing",
]
