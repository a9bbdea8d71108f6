"""Keras's global settings, such as mixed precision, which models of one process share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Callable

# Policy of precision, type of numbers, order of dimensions.
_Settings = tuple[Any, str, str]

# What modules set when they were imported, by their names; with their global names, by which a
# module that was imported anew is known.
_by_module: dict[str, tuple[dict[str, Any], _Settings]] = {}


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Leaves the settings as they were, for the models of other scenarios."""
    before = _settings()
    try:
        yield
    finally:
        _set(*before)


def with_those_of_its_module(find: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """The function that `find` gives, and the settings that importing its module made.

    A module is imported once, and its models are built many times.
    """
    before = _settings()
    function = find()
    name = getattr(function, "__module__", "")
    names = getattr(function, "__globals__", None) or vars(sys.modules.get(name, contextlib))
    if (now := _settings()) != before:
        _by_module[name] = names, now
    known, settings = _by_module.get(name, (None, before))
    if known is names:
        _set(*settings)
    return function


def _settings() -> _Settings:
    import tensorflow as tf

    backend, precision = tf.keras.backend, tf.keras.mixed_precision
    return precision.global_policy(), backend.floatx(), backend.image_data_format()


def _set(policy: Any, float_type: str, data_format: str) -> None:
    import tensorflow as tf

    tf.keras.backend.set_floatx(float_type)
    tf.keras.backend.set_image_data_format(data_format)
    tf.keras.mixed_precision.set_global_policy(policy)
