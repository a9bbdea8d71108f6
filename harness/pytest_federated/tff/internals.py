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
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Optional

import numpy as np

from pytest_federated.tff.compiled import content

_MAX_TYPES = 5_000  # remembered, the most recently used
_MAX_GRAPHS = 200
_MAX_GRAPH_BYTES = 200_000  # of a graph that is remembered, and optimized at once

# What is replaced in a private module is replaced by one thread at a time.
_compiler_lock, _tfrecords_lock = threading.Lock(), threading.Lock()
_tracing_lock = threading.RLock()

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


def value_writer(type_spec: Any) -> Callable[[Any, Any], None]:
    """Returns a function that writes a value of a type to a `Value` message of TFF.

    With the same contents as `tff.framework.serialize_value`, which copies the message at each
    level of its nesting, and looks at the type of each array in each round. That one writes what is
    neither an array nor made of arrays.

    The function raises TypeError if the value is not of this type.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.core.impl.compiler import array
    from tensorflow_federated.python.core.impl.types import dtype_utils, type_serialization

    def write_as_tff(message: Any, value: Any) -> None:
        value = tff.tensorflow.transform_args(value)
        message.CopyFrom(tff.framework.serialize_value(value, type_spec)[0])

    if isinstance(type_spec, tff.FederatedType):
        header = type_serialization.serialize_type(type_spec).federated
        is_all_equal, write_member = type_spec.all_equal, value_writer(type_spec.member)

        def write_federated(message: Any, value: Any) -> None:
            if not is_all_equal and type(value) is not list:
                write_as_tff(message, value)
                return
            message.federated.type.CopyFrom(header)
            for member in [value] if is_all_equal else value:
                write_member(message.federated.value.add(), member)

        return write_federated

    if isinstance(type_spec, tff.StructType):
        names = tuple(tff.structure.name_list_with_nones(type_spec))
        writers = [value_writer(of_element) for of_element in type_spec]

        def write_struct(message: Any, value: Any) -> None:
            message.struct.SetInParent()
            add = message.struct.element.add
            for name, write, element in zip(names, writers, _elements(value, names, type_spec)):
                part = add()
                if name:
                    part.name = name
                write(part.value, element)

        return write_struct

    if not isinstance(type_spec, tff.TensorType) or type_spec.dtype.kind not in "biuf":
        return write_as_tff
    dtype, shape, number = (
        type_spec.dtype,
        type_spec.shape,
        dtype_utils.to_proto(type_spec.dtype.type),
    )

    def write_tensor(message: Any, value: Any) -> None:
        if not isinstance(value, (np.ndarray, np.generic)) or value.dtype != dtype:
            write_as_tff(message, value)
        elif not shape and shape is not None and value.shape == ():
            message.array.CopyFrom(array.to_proto(value, dtype_hint=dtype.type))
        elif shape and _fits(value.shape, shape):
            message.array.dtype = number
            message.array.shape.dim.extend(value.shape)
            message.array.content = value.tobytes()
        else:
            write_as_tff(message, value)

    return write_tensor


def _fits(own: Sequence[int], shape: Sequence[Optional[int]]) -> bool:
    """Returns whether an array of this shape has a shape with open dimensions."""
    return len(own) == len(shape) and all(n in (None, m) for n, m in zip(shape, own))


def _elements(value: Any, names: Sequence[Optional[str]], type_spec: Any) -> Sequence[Any]:
    """Returns what a struct is made of.

    Raises:
        TypeError: these are not so many as the names, or they have others.
    """
    import tensorflow_federated as tff

    if isinstance(value, (tuple, list)):
        elements: Sequence[Any] = value
    elif type(value) is OrderedDict:
        elements = list(value.values())
    else:
        struct = tff.structure.from_container(value)
        elements = list(struct)
        own = tff.structure.name_list_with_nones(struct)
        if any(name not in (None, expected) for name, expected in zip(own, names)):
            elements = []
    if len(elements) != len(names):
        raise TypeError(f"{value!r:.200} is no value of the type {type_spec}")
    return elements


def value_reader(type_spec: Any) -> Callable[[Any], Any]:
    """Returns a function that reads a `Value` message of TFF, in the Python containers of a type.

    As `tff.framework.deserialize_value` reads it, which traces each array. That one reads what is
    neither an array nor made of arrays.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.core.impl.compiler import array
    from tensorflow_federated.python.core.impl.types import type_conversions

    def read_as_tff(message: Any) -> Any:
        value, _ = tff.framework.deserialize_value(message, type_spec)
        value = type_conversions.type_to_py_container(value, type_spec)
        return tff.tensorflow.transform_result(value)

    if isinstance(type_spec, tff.FederatedType):
        is_all_equal, read_member = type_spec.all_equal, value_reader(type_spec.member)

        def read_federated(message: Any) -> Any:
            members = message.federated.value
            if not members:
                return read_as_tff(message)
            return read_member(members[0]) if is_all_equal else [read_member(m) for m in members]

        return read_federated

    if isinstance(type_spec, tff.StructType):
        all_names = tff.structure.name_list_with_nones(type_spec)
        names = [name for name in all_names if name]
        readers = [value_reader(of_element) for of_element in type_spec]
        container: Any = type_spec.python_container or (OrderedDict if names else tuple)
        takes_keywords = hasattr(container, "_fields") or hasattr(container, "__attrs_attrs__")

        def read_struct(message: Any) -> Any:
            parts = message.struct.element
            if len(parts) != len(readers):
                return read_as_tff(message)
            elements = [read(part.value) for read, part in zip(readers, parts)]
            if takes_keywords:
                return container(**dict(zip(names, elements)))
            return container(zip(names, elements) if names else elements)

        return read_struct if len(names) in (0, len(readers)) else read_as_tff

    if not isinstance(type_spec, tff.TensorType):
        return read_as_tff
    is_one = not type_spec.shape or type_spec.dtype.type is np.str_
    read_array = array.from_proto if is_one else array.from_proto_content
    return lambda message: read_array(message.array)


# --- The compiler


@contextlib.contextmanager
def remembering_compiler() -> Iterator[None]:
    """Lets TFF's compiler reuse the types it has read and the graphs it has optimized lately.

    The compiler serializes and parses each computation several times, which takes most of its
    time in a suite of hundreds of computations; it has no option to remember them. Nor has it one
    for how TensorFlow optimizes, see `_without_recomputation`.
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
    to keep fewer. Nor has it one to let go of types: all that there ever were are kept. Types are
    equal by what they say, kept or made anew.
    """
    from tensorflow_federated.python.core.impl.execution_contexts import compiler_pipeline
    from tensorflow_federated.python.core.impl.types import computation_types

    read, _ = _with_memory()
    compiler_pipeline.CompilerPipeline.compile.cache_clear()
    read.cache_clear()
    for one in computation_types._intern_pool.values():
        one.clear()
    forget_serialized_types()
    modules = list(sys.modules.values())
    forget_traces(one for m in modules for one in list(getattr(m, "__dict__", {}).values()))


def forget_serialized_types() -> None:
    """Lets go of the messages that TFF keeps of types, each of which takes 8 KB.

    That is a MB for a training. Those that are needed again are made again, in 3 ms. TFF keeps
    each as long as the type.
    """
    from tensorflow_federated.python.core.impl.types import type_serialization

    kept: Any = type_serialization._type_serialization_cache
    kept.clear()


def forget_traces(objects: Iterable[Any]) -> None:
    """Has those objects that are `tf.function`s let go of the graphs that they were traced in.

    A function of TFF (secure sums, k-means) or of a user that outlives such a graph is traced anew
    in each, and keeps all of them. TensorFlow has no public way to forget. What was traced outside
    of a graph stays.
    """
    import tensorflow as tf

    kind = type(tf.function(lambda: None))
    for function in objects:
        if type(function) is kind:
            known = function._function_cache
            _forget([function], [(known, key) for key in list(known._primary)])


@contextlib.contextmanager
def traces_forgotten() -> Iterator[None]:
    """As `forget_traces`, for all that is traced in the block, by whatever function.

    A model's functions keep 5 MB and more of a training. Traces are noted as they are made: looking
    for them among all objects takes longer than tracing a small model.
    """
    import tensorflow as tf
    from tensorflow.core.function.polymorphism import function_cache

    kind: Any = type(tf.function(lambda: None))
    caches: Any = function_cache.FunctionCache
    called: list[Any] = []  # for the first time
    traced: list[tuple[Any, Any]] = []

    def add_and_note(known: Any, concrete: Any, context: Any = None) -> None:
        add(known, concrete, context)
        if context is not None:
            traced.append((known, (context, concrete.function_type)))

    def initialize_and_note(function: Any, *arguments: Any, **settings: Any) -> Any:
        called.append(function)
        return initialize(function, *arguments, **settings)

    with _tracing_lock:
        add, initialize = caches.add, kind._initialize
        caches.add, kind._initialize = add_and_note, initialize_and_note
        try:
            yield
        finally:
            caches.add, kind._initialize = add, initialize
            _forget(called, traced)


@contextlib.contextmanager
def traced_by_default() -> Iterator[None]:
    """Lets Keras convert layers by autograph, although the code that calls it is not converted.

    `tf.autograph.experimental.do_not_convert` holds for all that is called, and nothing in the
    public API ends it.
    """
    from tensorflow.python.autograph.core import ag_ctx

    with ag_ctx.ControlStatusCtx(ag_ctx.Status.UNSPECIFIED):
        yield


def _forget(functions: Iterable[Any], traced: Iterable[tuple[Any, Any]]) -> None:
    """Removes what was traced inside of another graph from the caches of `tf.function`s.

    Args:
        functions: those that may hold such a trace besides, that of their first call.
        traced: caches, each with a key in it.
    """
    forgotten = {}  # by id
    for known, key in traced:
        if key[0].context.parent_graph is not None and key in known._primary:
            concrete = known._primary.pop(key)
            known._dispatch_dict.pop(key[0], None)
            forgotten[id(concrete)] = concrete
    for function in functions:
        if id(getattr(function, "_concrete_variable_creation_fn", None)) in forgotten:
            function._concrete_variable_creation_fn = None


def _without_recomputation(options: Any) -> Any:
    """Returns TensorFlow's optimization options with recomputation off, which TFF turns on.

    Computing activations again for the gradients saves memory, but keeps TensorFlow from using one
    kernel for a layer, its bias and its activation: a CNN takes a twentieth longer.
    """
    changed = type(options)()
    changed.CopyFrom(options)
    rewriting = changed.graph_options.rewrite_options
    rewriting.memory_optimization = rewriting.NO_MEM_OPT
    return changed


def _inlining(options: Any) -> Any:
    """Returns options by which functions are inlined and what that leaves unused is removed.

    In the graph of a deep model, TensorFlow's constant folding visits all that was inlined hundreds
    of times: for a ResNet-18 it takes 31 of 35 s, and 0.3 s after this.
    """
    changed = type(options)()
    changed.CopyFrom(options)
    rewriting = changed.graph_options.rewrite_options
    rewriting.meta_optimizer_iterations = rewriting.ONE
    rewriting.arithmetic_optimization = rewriting.OFF
    rewriting.common_subgraph_elimination = rewriting.OFF
    rewriting.constant_folding = rewriting.OFF
    rewriting.layout_optimizer = rewriting.OFF
    rewriting.loop_optimization = rewriting.OFF
    rewriting.remapping = rewriting.OFF
    rewriting.shape_optimization = rewriting.OFF
    return changed


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
        options = _without_recomputation(options)
        if block.proto.ByteSize() > _MAX_GRAPH_BYTES:  # it holds arrays, or a deep model
            return plain_optimize(plain_optimize(block, _inlining(options)), options)
        key = hashlib.sha256(content(block.proto) + options.SerializeToString()).digest()
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
