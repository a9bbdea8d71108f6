"""Keras's global settings, such as mixed precision, which models of one process share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Callable

# Precision policy, float type, order of dimensions.
_Settings = tuple[Any, str, str]

# By module name: its globals, which are others once it is imported again, and the settings that it
# made when it was imported.
_by_module: dict[str, tuple[dict[str, Any], _Settings]] = {}


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Restores the settings at the end of the block, for the models of other scenarios."""
    before = _settings()
    try:
        yield
    finally:
        _set(*before)


def load_with_settings(load: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Returns the function that `load` loads, and makes the settings that its module made.

    A module is imported, and makes its settings, once; its models are built many times.
    """
    before = _settings()
    function = load()
    name = getattr(function, "__module__", "")
    module_globals = getattr(function, "__globals__", None) or vars(
        sys.modules.get(name, contextlib)
    )
    if (now := _settings()) != before:
        _by_module[name] = module_globals, now
    globals_then, settings = _by_module.get(name, (None, before))
    if globals_then is module_globals:
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
