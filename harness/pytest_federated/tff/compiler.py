"""TFF's compiler for its native runtime, which many like computations of one process pass through.

A suite compiles hundreds of computations. TFF's compiler writes each one out and reads it in again
several times, and that takes most of its time: types that it has read are remembered here, and so
are graphs that it has optimized.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Callable

_TYPES, _GRAPHS = 10_000, 500  # that are remembered, those used last
_MAX_BYTES = 100_000  # of a graph that is

_one_at_a_time = threading.Lock()


def context_arguments() -> dict[str, Any]:
    """What TFF's own native contexts are made with, besides their executors."""
    from tensorflow_federated.python.core.environments.tensorflow_frontend import (
        tensorflow_computation,
    )

    return {
        "compiler_fn": native,
        "transform_args": tensorflow_computation.transform_args,
        "transform_result": tensorflow_computation.transform_result,
    }


def native(computation: Any) -> Any:
    """A TFF computation in the form that TFF's native executors take."""
    from tensorflow_federated.python.core.backends.native import compiler

    with _remembering():
        return compiler.desugar_and_transform_to_native(simulated(computation))


def simulated(computation: Any) -> Any:
    """A TFF computation whose secure sums are plain ones of the same arithmetic.

    TFF's native executors have no secure sums; the simulation of them is in its test backend.
    """
    from tensorflow_federated.python.core.backends.test import compiler

    written = type(computation).get_proto(computation).SerializeToString()
    if b"federated_secure_" not in written:
        return computation
    replaced = compiler.replace_secure_intrinsics_with_bodies(computation)
    # It drops the Python classes that results are made of, such as that of the server's state.
    return type(replaced).with_type(replaced, computation.type_signature)


@contextmanager
def _remembering() -> Iterator[None]:
    """TFF reads no type, and optimizes no graph, that it lately did in another computation."""
    from tensorflow_federated.python.core.environments.tensorflow_backend import (
        compiled_computation_transformations as graphs,
    )
    from tensorflow_federated.python.core.impl.types import type_serialization as types

    read, optimize = _with_memory()
    with _one_at_a_time:
        plain = types.deserialize_type, graphs.optimize_tensorflow_comp
        types.deserialize_type, graphs.optimize_tensorflow_comp = read, optimize
        try:
            yield
        finally:
            types.deserialize_type, graphs.optimize_tensorflow_comp = plain


@cache
def _with_memory() -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """TFF's own functions that read a type and that optimize a graph, each with a memory."""
    import tensorflow as tf
    from tensorflow_federated.proto.v0 import computation_pb2
    from tensorflow_federated.python.core.environments.tensorflow_backend import (
        compiled_computation_transformations as graphs,
    )
    from tensorflow_federated.python.core.impl.compiler import building_blocks
    from tensorflow_federated.python.core.impl.types import type_serialization as types

    pb: Any = computation_pb2
    plain_read, plain_optimize = types.deserialize_type, graphs.optimize_tensorflow_comp

    @lru_cache(maxsize=_TYPES)
    def type_of(written: bytes) -> Any:
        return plain_read(pb.Type.FromString(written))

    def read(proto: Any) -> Any:
        return type_of(proto.SerializeToString())

    @lru_cache(maxsize=_GRAPHS)
    def optimized(written: bytes, options: bytes) -> Any:
        block = building_blocks.CompiledComputation(pb.Computation.FromString(written))
        return plain_optimize(block, tf.compat.v1.ConfigProto.FromString(options)).proto

    def optimize(block: Any, options: Any) -> Any:
        if block.proto.ByteSize() > _MAX_BYTES:  # it holds arrays
            return plain_optimize(block, options)
        proto = optimized(block.proto.SerializeToString(), options.SerializeToString())
        # The type has Python classes that what is written has not.
        return building_blocks.CompiledComputation(proto, type_signature=block.type_signature)

    return read, optimize
