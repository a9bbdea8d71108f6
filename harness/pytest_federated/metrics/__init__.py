"""Metrics: what is measured of one training, each defined once.

`metric` says what a definition holds, `scales` and `resolution` its parts, `measure` a metric with
its keys, `statistics` what follows from several seeds; every other module defines metrics.
"""
