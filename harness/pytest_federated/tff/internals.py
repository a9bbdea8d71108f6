"""Everything that comes from the private parts of TensorFlow, TFF and TensorFlow Privacy.

No other file imports them. Each entry says why the public API will not do, and has a test in
tests/integration/tff/test_internals.py that fails once the entry may go. What has to be replaced
in a private module is put back after use.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Optional

import numpy as np

_MAX_TYPES = 5_000  # remembered, the most recently used
_MAX_GRAPHS = 200
_MAX_GRAPH_BYTES = 100_000

# What is replaced in a private module is replaced by one thread at a time.
_compiler_lock, _tfrecords_lock = threading.Lock(), threading.Lock()

# --- The worker process and the connection to it

# The call that frees values in a worker, here none: it answers at once, even while it computes.
# TFF's public stubs have no call that asks whether a worker is there.
PING_METHOD = "/tensorflow_federated.v0.ExecutorGroup/Dispose"


def worker_binary() -> Optional[Path]:
    """Returns where TFF's worker program is or should be, without importing TFF.

    TFF's own factory starts the program with our stdout and does not end it with Python.
    """
    spec = find_spec("tensorflow_federated")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "data" / "worker_binary"


def worker_calls(channel: Any) -> Any:
    """Returns the calls that a worker answers, as gRPC generates them for TFF's protocol.

    `tff.framework.RemoteExecutorGrpcStub` is public, but traces each call, and waits forever, and
    fails, where values are to be freed in a worker that is gone.
    """
    from tensorflow_federated.proto.v0 import executor_pb2_grpc

    return executor_pb2_grpc.ExecutorGroupStub(channel)


def worker_messages() -> Any:
    """Returns the module with the messages of the calls of a worker, which TFF keeps private."""
    from tensorflow_federated.proto.v0 import executor_pb2

    return executor_pb2


def cardinalities_message(clients: int) -> list[Any]:
    """Returns how many clients an executor of a worker is for, as the request for one says it.

    TFF's public classes write it only as a part of their own request.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.core.impl.executors import value_serialization

    return value_serialization.serialize_cardinalities({tff.CLIENTS: clients})


def number_of_clients(value: Any, type_spec: Any) -> int:
    """Returns how many clients an argument of a computation is for; 0 where it has none.

    TFF finds it out only inside of its own contexts.

    Raises:
        ValueError: parts of it are for different numbers of clients.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.core.impl.executors import cardinalities_utils

    return cardinalities_utils.infer_cardinalities(value, type_spec).get(tff.CLIENTS, 0)


def write_value(message: Any, value: Any, type_spec: Any) -> None:
    """Writes a value to a `Value` message of TFF.

    With the same contents as `tff.framework.serialize_value`, which copies the message at each
    level of its nesting, and traces each array. That one writes what is neither an array nor made
    of arrays.

    Raises:
        TypeError: the value is not of this type.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.core.impl.types import dtype_utils, type_serialization

    if isinstance(type_spec, tff.FederatedType) and (type_spec.all_equal or type(value) is list):
        members: Any = [value] if type_spec.all_equal else value
        message.federated.type.CopyFrom(type_serialization.serialize_type(type_spec).federated)
        for member in members:
            write_value(message.federated.value.add(), member, type_spec.member)
    elif isinstance(type_spec, tff.StructType):
        names_and_types = tff.structure.to_elements(type_spec)
        elements = _elements(value, [name for name, _ in names_and_types])
        if elements is None:
            raise TypeError(f"{value!r:.200} is no value of the type {type_spec}")
        message.struct.SetInParent()
        for (name, element_type), element in zip(names_and_types, elements):
            part = message.struct.element.add()
            if name:
                part.name = name
            write_value(part.value, element, element_type)
    elif (
        isinstance(type_spec, tff.TensorType)
        and isinstance(value, np.ndarray)
        and value.ndim == len(type_spec.shape or ())
        and value.ndim
        and value.dtype == type_spec.dtype
        and value.dtype.kind in "biuf"
        and all(size in (None, own) for size, own in zip(type_spec.shape or (), value.shape))
    ):
        message.array.dtype = dtype_utils.to_proto(value.dtype.type)
        message.array.shape.dim.extend(value.shape)
        message.array.content = value.tobytes()
    else:
        value = tff.tensorflow.transform_args(value)
        message.CopyFrom(tff.framework.serialize_value(value, type_spec)[0])


def _elements(value: Any, names: list[Optional[str]]) -> Optional[list[Any]]:
    """Returns what a struct is made of; None if these are not so many, or have other names."""
    import tensorflow_federated as tff

    if type(value) is OrderedDict:
        elements = list(value.values())
    elif isinstance(value, (tuple, list)):
        elements = list(value)
    else:
        struct = tff.structure.from_container(value)
        own = tff.structure.name_list_with_nones(struct)
        elements = list(struct)
        if any(name not in (None, expected) for name, expected in zip(own, names)):
            return None
    return elements if len(elements) == len(names) else None


def read_value(message: Any, type_spec: Any) -> Any:
    """Returns what a `Value` message of TFF says, in the Python containers of its type.

    As `tff.framework.deserialize_value` reads it, which traces each array. That one reads what is
    neither an array nor made of arrays.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.core.impl.compiler import array
    from tensorflow_federated.python.core.impl.types import type_conversions

    if isinstance(type_spec, tff.FederatedType) and message.federated.value:
        members = message.federated.value
        if type_spec.all_equal:
            return read_value(members[0], type_spec.member)
        return [read_value(member, type_spec.member) for member in members]
    if isinstance(type_spec, tff.StructType):
        names_and_types = tff.structure.to_elements(type_spec)
        names = [name for name, _ in names_and_types if name]
        parts = message.struct.element
        if len(parts) == len(names_and_types) and len(names) in (0, len(parts)):
            elements = [read_value(p.value, t) for p, (_, t) in zip(parts, names_and_types)]
            container = type_spec.python_container or (OrderedDict if names else tuple)
            if _takes_keywords(container):
                return container(**dict(zip(names, elements)))
            return container(zip(names, elements) if names else elements)
    if isinstance(type_spec, tff.TensorType):
        is_one = not type_spec.shape or type_spec.dtype.type is np.str_
        return (array.from_proto if is_one else array.from_proto_content)(message.array)
    value, _ = tff.framework.deserialize_value(message, type_spec)
    value = type_conversions.type_to_py_container(value, type_spec)
    return tff.tensorflow.transform_result(value)


@cache
def _takes_keywords(container: Any) -> bool:
    """Returns whether a class is made from its fields by name, as named tuples and attrs are."""
    return hasattr(container, "_fields") or hasattr(container, "__attrs_attrs__")


# --- The compiler


@contextlib.contextmanager
def remembering_compiler() -> Iterator[None]:
    """Lets TFF's compiler reuse the types it has read and the graphs it has optimized lately.

    The compiler serializes and parses each computation several times, which takes most of its
    time in a suite of hundreds of computations; it has no option to remember them.
    """
    from tensorflow_federated.python.core.environments.tensorflow_backend import (
        compiled_computation_transformations as graphs,
    )
    from tensorflow_federated.python.core.impl.types import type_serialization as types

    read, optimize = _with_memory()
    with _compiler_lock:
        originals = types.deserialize_type, graphs.optimize_tensorflow_comp
        types.deserialize_type, graphs.optimize_tensorflow_comp = read, optimize
        try:
            yield
        finally:
            types.deserialize_type, graphs.optimize_tensorflow_comp = originals


def forget_compiled() -> None:
    """Lets go of the computations that TFF's contexts have compiled, and with them of their models.

    The one that divides computations keeps 128, about 10 MB for a model; the public API has no way
    to keep fewer. Nor
    has it one to let go of types: all that there ever were are kept, each with its serialized form,
    half a MB and more for a model. Types are equal by what they say, kept or made anew.
    """
    from tensorflow_federated.python.core.impl.execution_contexts import compiler_pipeline
    from tensorflow_federated.python.core.impl.types import computation_types, type_serialization

    read, _ = _with_memory()
    compiler_pipeline.CompilerPipeline.compile.cache_clear()
    read.cache_clear()
    caches: list[Any] = [type_serialization._type_serialization_cache]
    for one in [*caches, *computation_types._intern_pool.values()]:
        one.clear()
    _forget_traces()


def _forget_traces() -> None:
    """Has the `tf.function`s of modules let go of the graphs that they were traced in.

    Such a function, of TFF (secure sums, k-means) or of a user, is traced anew in each graph, and
    keeps that graph for good: 5 MB for a model with secure sums. TensorFlow has no public way to
    forget. What was traced outside of a graph stays.
    """
    import tensorflow as tf

    kind = type(tf.function(lambda: None))
    for module in list(sys.modules.values()):
        for function in list(getattr(module, "__dict__", {}).values()):
            if type(function) is kind:
                known = function._function_cache
                for key in list(known._primary):
                    if key[0].context.parent_graph is not None:
                        del known._primary[key]
                        known._dispatch_dict.pop(key[0], None)


@cache
def _with_memory() -> tuple[Any, Callable[[Any, Any], Any]]:
    """Returns TFF's functions that read a type and that optimize a graph, each with a memory.

    The first has a method `cache_clear`.
    """
    from tensorflow_federated.proto.v0 import computation_pb2
    from tensorflow_federated.python.core.environments.tensorflow_backend import (
        compiled_computation_transformations as graphs,
    )
    from tensorflow_federated.python.core.impl.compiler import building_blocks
    from tensorflow_federated.python.core.impl.types import type_serialization as types

    pb: Any = computation_pb2
    plain_read, plain_optimize = types.deserialize_type, graphs.optimize_tensorflow_comp

    @lru_cache(maxsize=_MAX_TYPES)
    def read_bytes(serialized: bytes) -> Any:
        return plain_read(pb.Type.FromString(serialized))

    def read(proto: Any) -> Any:
        return read_bytes(proto.SerializeToString())

    read.cache_clear = read_bytes.cache_clear  # pyright: ignore

    # As bytes by a hash: with keys and messages it would be four times as much.
    optimized: OrderedDict[bytes, bytes] = OrderedDict()

    def optimize(block: Any, options: Any) -> Any:
        if block.proto.ByteSize() > _MAX_GRAPH_BYTES:  # it holds arrays
            return plain_optimize(block, options)
        text = block.proto.SerializeToString() + options.SerializeToString()
        key = hashlib.sha256(text).digest()
        if key not in optimized:
            optimized[key] = plain_optimize(block, options).proto.SerializeToString()
            if len(optimized) > _MAX_GRAPHS:
                optimized.popitem(last=False)
        optimized.move_to_end(key)
        proto = pb.Computation.FromString(optimized[key])
        # The serialized type has lost the Python classes that the block's own has.
        return building_blocks.CompiledComputation(proto, type_signature=block.type_signature)

    return read, optimize


# --- Learning processes


def build_training_loop() -> Any:
    """Returns TFF's loop over a client's batches inside a graph, which its processes train with.

    Only whole client works are public; an algorithm that corrects gradients needs the loop.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.learning import loop_builder

    return loop_builder.build_training_loop(tff.learning.LoopImplementation.DATASET_ITERATOR)


def build_client_update(model_fn: Callable[[], Any], weighting: Any) -> Any:
    """Returns TFF's function for a client's local training, with a `tff.learning.ClientWeighting`.

    The public client work weighs clients by examples or not at all, never by a metric, and its
    optimizer is the same in all rounds.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.learning.templates import model_delta_client_work

    return model_delta_client_work.build_model_delta_update_with_tff_optimizer(
        model_fn,
        weighting=weighting,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )


# --- Differential privacy


def adaptive_clip_noise_params(
    noise_multiplier: float, clients: int, count_stddev: Optional[float]
) -> tuple[float, float]:
    """Returns the noise multiplier of the sum, and the deviation of the noise on the count.

    Together they cost what `noise_multiplier` says (Andrew et al., arXiv:1905.03871, section 3).
    Only the whole aggregator is public, and its noise is seeded by the clock.
    """
    from tensorflow_federated.python.aggregators import differential_privacy

    return differential_privacy.adaptive_clip_noise_params(
        noise_multiplier, float(clients), count_stddev
    )


def replace_sums(query: Any, with_noise: Callable[[float, float], Any]) -> None:
    """Replaces both sums of a new `tfp.QuantileAdaptiveClipSumQuery` by `with_noise(clip, stddev)`.

    The query has no parameter for them, and seeds their noise by the clock. Only this object is
    changed.
    """
    plain = query._sum_query
    query._sum_query = with_noise(plain._l2_norm_clip, plain._stddev)
    count = query._quantile_estimator_query._below_estimate_query
    plain = count._numerator
    count._numerator = with_noise(plain._l2_norm_clip, plain._stddev)


def num_stddevs(wrap_probability: float) -> float:
    """Returns how many deviations a normal variable exceeds with this probability.

    Only the whole aggregator of distributed DP is public; it is seeded by the clock.
    """
    from tensorflow_federated.python.aggregators import distributed_dp

    return distributed_dp._clip_prob_to_num_stddevs(wrap_probability)


def scale_factor(
    local_stddev: Any, norm: Any, bits: int, clients: int, size: int, num_stddevs: float
) -> Any:
    """Returns the factor before rounding to integers, float32 (), as large as the modulus allows.

    Kairouz, Liu, Steinke, arXiv:2102.06387, section 4; private for the same reason.
    """
    import tensorflow as tf
    from tensorflow_federated.python.aggregators import distributed_dp

    factor = distributed_dp._heuristic_scale_factor(
        local_stddev, norm, bits, clients, size, num_stddevs
    )
    return tf.cast(tf.minimum(factor, distributed_dp.MAX_SCALE_FACTOR), tf.float32)


def walsh_hadamard_transform(rows: Any) -> Any:
    """Returns the transform of each row, float32 (n, power of two).

    Only the whole aggregator is public, and its signs are seeded by the clock.
    """
    from tensorflow_federated.python.aggregators import hadamard

    return hadamard.fast_walsh_hadamard_transform(rows)


def random_signs(shape: Any, dtype: Any, seed: Any) -> Any:
    """Returns numbers that are -1 or 1, by a seed (2,); private for the same reason."""
    from tensorflow_federated.python.aggregators import rotation

    return rotation.sample_rademacher(shape, dtype, seed)


def random_phases(shape: Any, seed: Any, inverse: bool) -> Any:
    """Returns complex64 numbers of length 1, by a seed (2,); private for the same reason."""
    from tensorflow_federated.python.aggregators import rotation

    return rotation.sample_cis(shape, seed, inverse=inverse)


# --- Keras


@contextlib.contextmanager
def same_keras_seeds() -> Iterator[None]:
    """Has the initializers of each model that is built in the block have the same seeds.

    They become constants of the graph that a model is built in, and would be others each time.
    Keras draws them from its own generator; `tf.keras.utils.set_random_seed` is public, but sets
    the seeds of Python, NumPy and TensorFlow as well.
    """
    from keras.src import backend  # pyright: ignore

    seeds = vars(backend._SEED_GENERATOR)  # this thread's
    before = seeds.get("generator")
    seeds["generator"] = random.Random(0)
    try:
        yield
    finally:
        seeds["generator"] = before  # None is as good as nothing


# --- Networks and data sets of TFF's simulations


def emnist_models() -> ModuleType:
    """Returns the networks of TFF's EMNIST tasks, as functions that create a Keras model.

    `tff.simulation.baselines` builds whole tasks, with their data; no network alone is public.
    """
    from tensorflow_federated.python.simulation.baselines.emnist import emnist_models

    return emnist_models


def resnet_models() -> ModuleType:
    """Returns the networks of TFF's CIFAR-100 task; private for the same reason."""
    from tensorflow_federated.python.simulation.models import resnet_models

    return resnet_models


def mobilenet_v2() -> ModuleType:
    """Returns the network of TFF's landmark task; private for the same reason."""
    from tensorflow_federated.python.simulation.models import mobilenet_v2

    return mobilenet_v2


def shakespeare_models() -> ModuleType:
    """Returns the network of TFF's Shakespeare task; private for the same reason."""
    from tensorflow_federated.python.simulation.baselines.shakespeare import char_prediction_models

    return char_prediction_models


def stackoverflow_word_models() -> ModuleType:
    """Returns the network of TFF's next-word task; private for the same reason."""
    from tensorflow_federated.python.simulation.baselines.stackoverflow import (
        word_prediction_models,
    )

    return word_prediction_models


def stackoverflow_tag_model(input_size: int, output_size: int) -> Any:
    """Returns the logistic regression of TFF's tag task; private for the same reason."""
    from tensorflow_federated.python.simulation.baselines.stackoverflow import tag_prediction_tasks

    return tag_prediction_tasks._build_logistic_regression_model(
        input_size=input_size, output_size=output_size
    )


@contextlib.contextmanager
def readable_tfrecords(logger_tag: str) -> Iterator[None]:
    """Lets `tff.simulation.datasets` open a folder of TFRecord files, such as that of gldv2.

    TFF 0.87 reads a client's file by `load_tfrecord` without its required argument `logger_tag`.
    What was opened stays readable.
    """
    from tensorflow_federated.python.simulation.datasets import vision_datasets_utils

    original = vision_datasets_utils.load_tfrecord

    def load_tfrecord(file_name: str, logger_tag: str = logger_tag) -> Any:
        return original(file_name, logger_tag)

    with _tfrecords_lock:
        vision_datasets_utils.load_tfrecord = load_tfrecord
        try:
            yield
        finally:
            vision_datasets_utils.load_tfrecord = original
