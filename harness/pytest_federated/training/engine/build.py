"""Building what trains a scenario, from its model and training settings."""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional
from weakref import WeakValueDictionary

import numpy as np

from pytest_federated.clients.attacks.attack import Attack, Craft, attack
from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.core import collector
from pytest_federated.core.errors import FederatedError, ModelError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.registry.choice import choices_in
from pytest_federated.registry.registry import kind
from pytest_federated.tff.context import forget_computations
from pytest_federated.tff.imports import silenced
from pytest_federated.tff.internals import forget_serialized_types, traces_forgotten
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.aggregators.aggregator import build as aggregator_factory
from pytest_federated.training.aggregators.differential_privacy import NOISE_SEED
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    algorithms,
    no_change,
)
from pytest_federated.training.algorithms.fedavg import client_training
from pytest_federated.training.communication import Traffic, traffic_of
from pytest_federated.training.engine import packed
from pytest_federated.training.engine.execution import Execution, choose, standard_for
from pytest_federated.training.evaluation.central import (
    NO_SCORES,
    Evaluation,
    Recall,
    Scores,
    evaluate,
)
from pytest_federated.training.evaluation.personalized import tuning
from pytest_federated.training.models.adapters.adapter import CannotPack, ModelAdapter
from pytest_federated.training.models.adapters.select import adapter_for
from pytest_federated.training.models.levels import taking_levels
from pytest_federated.training.models.losses import LossSettings, weights_of_classes
from pytest_federated.training.models.model import Shape, named
from pytest_federated.training.optimizers.optimizer import (
    is_the_users,
    optimizer_of,
    optimizers,
    schedule_of,
    server_optimizer_of,
)
from pytest_federated.training.schema import Training
from pytest_federated.user.files import of_seed
from pytest_federated.user.functions import (
    blamed,
    cause,
    fingerprint,
    fingerprints,
    is_for_the_reader,
    user_line,
)

if TYPE_CHECKING:
    import tensorflow_federated as tff

# By the settings that they are built from; each registered entry has a type of its own.
_Key = tuple[str, tuple[type[Section], ...]]
_trainers: OrderedDict[_Key, Trainer] = OrderedDict()  # the most recently used
_MAX_TRAINERS = 10  # each with its model takes about 3 MB
# Of all changes of a round, which go through this process where a round is two calls: a message to
# TFF's worker may have 2 GB, and some samplings draw more clients than expected.
_MAX_ROWS_BYTES = 2**29
_adapters: WeakValueDictionary[_Key, ModelAdapter] = WeakValueDictionary()  # of these trainers
# While TensorFlow is still there to let go of its functions.
atexit.register(lambda: (_trainers.clear(), _adapters.clear(), _forget_shared()))


@dataclass(frozen=True)
class Trainer:
    """An algorithm that was built for a model, and what is needed to start, feed and judge it.

    Attributes:
        algorithm: what trains; it has no random state of its own.
        execution: how clients are put onto placements.
        adapter: the scenario's model, as it is judged.
        traffic: what a round sends to and from each client.
        initial_weights_file: where the model's weights come from, with ``{seed}`` for the seed if
            each has its own; None for the seed alone.
        name: what trains which model, for messages.
    """

    algorithm: Algorithm
    execution: Execution
    adapter: ModelAdapter
    traffic: Traffic
    initial_weights_file: Optional[str] = None
    name: str = ""

    def initial_state(self, seed: int, data: FederatedData) -> Any:
        """Returns the state before the first round, with the weights that `seed` gives."""
        weights = self.initial_weights(seed)
        state = self.algorithm.initialize(weights, data, generator(seed, Stream.ALGORITHM, 0))
        return _with_noise_seeds(state, generator(seed, Stream.AGGREGATION))

    def initial_weights(self, seed: int) -> tff.learning.models.ModelWeights:
        """Returns the weights that `seed` gives a new model, or that a file does.

        Raises:
            DataError: there is no such file.
            ModelError: it has the weights of another model.
        """
        import tensorflow as tf

        draw = generator(seed, Stream.INITIAL_WEIGHTS).integers(2**31)
        with silenced():  # Keras warns of its own use of the random module
            if self.initial_weights_file is None:
                weights = _new_weights(self.adapter, int(draw))
            else:
                tf.keras.utils.set_random_seed(int(draw))
                file = of_seed(self.initial_weights_file, seed)
                weights = self.adapter.loaded_weights(file)
            tf.keras.utils.set_random_seed(int(draw))  # the same, known weights or new ones
            return weights

    def next(
        self, state: Any, cohort: Cohort, work: LocalWork, seed: int, number: int
    ) -> tuple[Any, Mapping[str, Any]]:
        """Returns the state after round `number`, and the metrics of its training."""
        rng = generator(seed, Stream.ALGORITHM, number)
        with self._workers_errors():
            return self.algorithm.next(state, cohort, work, rng)

    def evaluate(
        self,
        state: Any,
        data: FederatedData,
        work: LocalWork,
        scores: Scores = NO_SCORES,
        with_recall: bool = False,
    ) -> Evaluation:
        """Judges the state's model on the test set, or the models where each client has its own."""
        judge = partial(self.judge, scores=scores, with_recall=with_recall)
        with self._workers_errors():
            return self.algorithm.evaluate(state, data, work, judge)

    @contextlib.contextmanager
    def _workers_errors(self) -> Iterator[None]:
        """Has an error of what TFF's worker computes say what it was, not where it came through.

        Raises:
            ModelError: a computation failed.
        """
        import grpc

        try:
            yield
        except grpc.RpcError as error:
            code, text = error.code(), error.details() or ""  # type: ignore[attr-defined]
            if code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT):
                raise  # of the connection or the worker
            line = text.rpartition("Failed to run computation: ")[2].strip().partition("\n")[0]
            raise ModelError(f"{self.name} failed in TFF's worker process: {line}") from error

    def client_evaluations(
        self, state: Any, data: FederatedData, work: LocalWork, scores: Scores = NO_SCORES
    ) -> dict[int, Evaluation]:
        """Judges each client's own model, as `Algorithm.client_evaluations`."""
        judge = partial(self.judge, scores=scores)
        with self._workers_errors():
            return self.algorithm.client_evaluations(state, data, work, judge)

    def judge(
        self,
        weights: tff.learning.models.ModelWeights,
        examples: Examples,
        scores: Scores = NO_SCORES,
        with_recall: bool = False,
    ) -> Evaluation:
        """Judges the model with these weights on held-out examples."""
        self.adapter.set_weights(weights)
        return evaluate(self.adapter, examples, scores, with_recall)

    def recall(self, state: Any, data: FederatedData) -> Recall:
        """Returns how many of each label the model that all clients share gets right.

        See `Evaluation.recall`. By a pass over the test set of its own, for a state that `evaluate`
        has not judged, or has judged otherwise.
        """
        recall = self.judge(self.algorithm.weights(state), data.test, with_recall=True).recall
        assert recall is not None
        return recall


def trainer_for(
    model: Optional[Section],
    training: Training,
    data: FederatedData,
    cohort_size: Optional[int] = None,
    attacks: Optional[Section] = None,
) -> Trainer:
    """Returns the trainer for these settings, built once for all seeds and variants with them.

    The last ones are kept, so that a session of many models takes no more memory than one of some.

    Args:
        model: the scenario's model; None for an algorithm that needs none.
        training: algorithm, aggregator and optimizers.
        data: what the model has to fit.
        cohort_size: clients that a round is expected to have; all when None.
        attacks: how clients attack; None for nobody.

    Raises:
        ModelError: the model cannot be built, does not fit the data, or cannot be packed.
    """
    x, y = data.train.x, data.train.y
    types = {name: x.dtype[name] for name in x.dtype.names or ()}
    shape = Shape(
        x.shape[1:],
        data.num_classes,
        data.task,
        y.shape[1:],
        "" if types else x.dtype.name,
        y.dtype.name,
        {name: (dtype.shape, dtype.base.name) for name, dtype in types.items()},
    )
    sections = (
        model,
        training.algorithm,
        training.aggregator,
        training.client_optimizer,
        training.server_optimizer,
    )
    code = [section and fingerprints(section) for section in sections]
    settings = [section and section.model_dump(mode="json") for section in sections]
    dependencies = _dependencies(training, data)
    effect = attack(attacks) if attacks is not None else Attack()
    changes_updates = effect.factor != 1 or effect.craft is not None
    crafts = attacks if effect.craft is not None else None  # only factors come with the clients
    crafted_text = crafts and [crafts.model_dump(mode="json"), fingerprints(crafts)]
    clients = 0
    if aggregators.entry(training.aggregator).spec.by_clients:
        clients = cohort_size or len(data.clients)
    loss = LossSettings(training.loss, weights_of_classes(training.class_weights, data))
    loss_text = [repr(loss), training.loss and fingerprint(training.loss.partition(":")[0])]
    source, build_adapter = _adapter_source(model, training, loss)
    adapter_key = _key(
        source, text=[repr(shape), fingerprints(source), source.model_dump(mode="json"), loss_text]
    )
    text = [
        *(repr(shape), loss_text, training.execution, code, settings),
        *(dependencies, clients, changes_updates, crafted_text, data.levels is not None),
    ]
    key = _key(*sections, crafts, text=text)
    if key not in _trainers:
        with collector.paused(), silenced(), _in_one_line(model, training):
            with traces_forgotten():
                adapter = _adapters.get(adapter_key) or build_adapter(source, shape)
                _adapters[adapter_key] = adapter
                conditions = _Conditions(
                    adapter,
                    dependencies,
                    clients,
                    changes_updates,
                    effect.craft,
                    of_levels=data.levels is not None,
                )
                _trainers[key] = _build(model, training, conditions)
            _free_graphs()
        if len(_trainers) > _MAX_TRAINERS:
            _forget_the_oldest()
    _trainers.move_to_end(key)
    trainer = _trainers[key]
    if obstacle := _too_large(trainer, cohort_size or len(data.clients)):
        execution = standard_for(training, obstacle)
        by_itself = training.model_copy(update={"execution": "standard"})
        try:
            standard = trainer_for(model, by_itself, data, cohort_size, attacks)
        except ModelError as error:
            raise ModelError(f"{error} (clients are not packed here: {obstacle})") from error
        return replace(standard, execution=execution)
    return trainer


def _too_large(trainer: Trainer, clients: int) -> str:
    """Returns that the changes of so many clients are too large to be packed; empty if not."""
    if len(trainer.algorithm.computations) == 1:
        return ""
    size = 4 * trainer.adapter.parameters() * clients
    return (
        f"the changes of {clients} clients take {size / 1e6:,.0f} MB, above the "
        f"{_MAX_ROWS_BYTES / 1e6:,.0f} MB that an aggregator of TFF's gets of packed clients"
        if size > _MAX_ROWS_BYTES
        else ""
    )


def _free_graphs() -> None:
    """Frees the graphs and types that a training was just built of, most of its memory.

    TFF's computations have copies. While the collector was paused, all that is new became the
    youngest generation, so that this collection looks at nothing else.
    """
    forget_serialized_types()
    gc.collect(0)
    collector.return_freed()


def _forget_the_oldest() -> None:
    """Lets go of half of the trainers, and of what TFF and Keras keep for them.

    Of many at once, as a model is freed by Python's collection of all cycles only, which rarely
    runs by itself and takes half a second.
    """
    for _ in range(_MAX_TRAINERS // 2):
        _trainers.popitem(last=False)
    _adapters.clear()  # each keeps the graphs of all trainers that were built with it
    _forget_shared()
    forget_computations()
    gc.collect()
    gc.collect()  # most graphs are free only once TensorFlow's own objects that hold them are gone


def _forget_shared() -> None:
    """Lets go of what trainers have in common with others."""
    for function in (_new_weights, packed.stack_training, taking_levels, client_training, tuning):
        function.cache_clear()


def _key(*sections: Optional[Section], text: Any) -> _Key:
    types = [
        type(one)
        for section in sections
        if section
        for one in (section, *(nested for _, nested in choices_in(section)))
    ]
    return json.dumps(text), tuple(types)


@contextlib.contextmanager
def _in_one_line(model: Optional[Section], training: Training) -> Iterator[None]:
    """Has whatever is raised while TensorFlow and TFF trace a model say what is the user's."""
    try:
        yield
    except Exception as error:
        if is_for_the_reader(error):
            raise
        if isinstance(error, FederatedError):  # raised in what autograph rewrote
            raise type(error)(cause(error)[1]) from error
        what = f"{named(model)}: " if model is not None else ""
        why = blamed(error)
        if cause(error)[0] == "InaccessibleTensorError":  # says nothing of where it comes from
            why = (
                "a layer adds a loss while it is called (activity_regularizer, add_loss), or keeps "
                "a tensor; kernel_regularizer can be used"
            )
        raise ModelError(
            f"{what}TFF cannot train it by {kind(training.algorithm)}: {why}"
        ) from error


def _adapter_source(
    model: Optional[Section], training: Training, loss: LossSettings
) -> tuple[Section, Callable[[Section, Shape], ModelAdapter]]:
    """Returns what the adapter is made of, the model or an algorithm that needs none, and how."""
    entry = algorithms.entry(training.algorithm)
    if stand_in := entry.spec.adapter:
        return training.algorithm, stand_in
    if model is None:
        raise ModelError(f"model: missing; {entry.name} trains one")
    return model, partial(adapter_for, loss=loss)


class _Conditions(NamedTuple):
    """What a scenario's model, clients and data make of its training.

    Attributes:
        adapter: to the model.
        dependencies: numbers that the algorithm needs of the training and the data, by name.
        clients: how many a round is expected to have; 0 where it does not matter.
        changes_updates: whether attackers change what they send.
        craft: what they send then, if they craft it together.
        of_levels: whether features come as bytes.

    """

    adapter: ModelAdapter
    dependencies: dict[str, int]
    clients: int
    changes_updates: bool
    craft: Optional[Craft]
    of_levels: bool


def _build(model: Optional[Section], training: Training, conditions: _Conditions) -> Trainer:
    adapter = conditions.adapter
    execution = choose(training, adapter)
    built: Optional[tuple[AlgorithmInputs, Algorithm]] = None
    if execution.kind == "packed":
        try:
            built = _algorithm(training, execution, conditions)
        except Exception as error:
            if is_for_the_reader(error):
                raise
            culprit = _culprit(training, execution, conditions)
            execution = standard_for(training, *_refusal_to_pack(error, culprit))
    inputs, algorithm = built or _blaming(training, execution, conditions)
    if conditions.changes_updates and not algorithm.scales_updates:
        reason = no_change(training.algorithm, execution.kind == "standard") or (
            f"{kind(training.algorithm)} gives no way to change a client's update"
        )
        raise ModelError(f"clients.attacks: {reason}; label_flip does")
    traffic = traffic_of(training.algorithm, inputs, algorithm.sent(adapter.template_weights))
    file: Optional[str] = getattr(model, "initial_weights", None)
    name = f"{named(model)}: training by {kind(training.algorithm)}" if model else "training"
    return Trainer(algorithm, execution, adapter, traffic, file, name)


def _algorithm(
    training: Training, execution: Execution, conditions: _Conditions
) -> tuple[AlgorithmInputs, Algorithm]:
    """Builds the algorithm for an execution; with what it was built from."""
    adapter, is_packed = conditions.adapter, execution.kind == "packed"
    server = partial(server_optimizer_of, training.server_optimizer)
    inputs = AlgorithmInputs(
        _packable(adapter, conditions.of_levels) if is_packed else adapter.model_fn,
        optimizer_of(training.client_optimizer),
        server(),
        server_step=server,
        aggregator=aggregator_factory(training.aggregator, conditions.clients),
        packed=is_packed,
        scheduled=schedule_of(training.client_optimizer) is not None,
        scaled=conditions.changes_updates,
        craft=conditions.craft,
        adapter=adapter,
        **conditions.dependencies,
    )
    entry = algorithms.entry(training.algorithm)
    algorithm = entry.call(training.algorithm, inputs)
    if not isinstance(algorithm, Algorithm):
        raise entry.gave(
            algorithm, "an Algorithm; TffAlgorithm(process) makes one of TFF's process"
        )
    return inputs, algorithm


def _packable(adapter: ModelAdapter, of_levels: bool) -> tff.learning.models.FunctionalModel:
    """Returns the model of packed execution; with bytes for features where `of_levels` is true."""
    model = adapter.functional()
    return taking_levels(model) if of_levels else model


def _blaming(
    training: Training, execution: Execution, conditions: _Conditions
) -> tuple[AlgorithmInputs, Algorithm]:
    """Builds the algorithm as `_algorithm`; an error names the user's part if it is to blame.

    Raises:
        ModelError: the user's optimizer or aggregator keeps it from being built.
    """
    try:
        return _algorithm(training, execution, conditions)
    except Exception as error:
        culprit = "" if is_for_the_reader(error) else _culprit(training, execution, conditions)
        if not culprit:
            raise
        raise ModelError(
            f"training.{culprit}: TFF cannot train with it by {kind(training.algorithm)}: "
            f"{blamed(error)}"
        ) from error


def _culprit(training: Training, execution: Execution, conditions: _Conditions) -> str:
    """Returns which optimizer of the user's, or aggregator, keeps a training from being built.

    That is one in whose place SGD or the mean lets it be built; empty if there is none. It may be
    an optimizer of the algorithm's.
    """
    sgd, mean = optimizers.parse({"learning_rate": 1.0}), aggregators.parse("mean")
    others: dict[str, Training] = {}
    for place, section in (("", training), ("algorithm.", training.algorithm)):
        chosen = [one for registry, one in choices_in(section) if registry is optimizers]
        for key, value in section:
            if any(value is one for one in chosen) and is_the_users(value):
                other: Any = section.model_copy(update={key: sgd})
                if section is not training:
                    other = training.model_copy(update={"algorithm": other})
                others[place + key] = other
    if kind(training.aggregator) != kind(mean):
        others["aggregator"] = training.model_copy(update={"aggregator": mean})
    for key, other in others.items():
        with contextlib.suppress(Exception):
            _algorithm(other, execution, conditions)
            return key
    return ""


def _refusal_to_pack(error: Exception, culprit: str) -> tuple[str, str]:
    """Why clients could not be packed: the same on all machines for a record, and for a message.

    `culprit` is the optimizer or aggregator that is at fault; empty where it is the model.
    """
    what, text = cause(error)
    if what == CannotPack.__name__:
        return text.strip(), text.strip()
    root: BaseException = error
    while isinstance(root, FederatedError) and (under := root.__cause__ or root.__context__):
        root = under
    line = user_line(root) or user_line(error)
    place = f" in line {line[1]} of {Path(line[0]).name}" if line else ""
    begin = "TFF can make no functional model of it"
    if culprit:
        name = culprit.rpartition(".")[2].replace("_", " ")
        begin = f"TFF cannot pack clients with this {name}"
    return f"{begin} ({cause(root)[0]}{place})", f"{begin}: {blamed(root)}"


@lru_cache(maxsize=8)
def _new_weights(adapter: ModelAdapter, seed: int) -> tff.learning.models.ModelWeights:
    """The weights of a new model; the last are kept for variants that begin with the same."""
    import tensorflow as tf
    import tensorflow_federated as tff

    tf.keras.utils.set_random_seed(seed)
    new = adapter.new_weights()
    return tff.learning.models.ModelWeights(
        *(
            tuple(tf.constant(np.asarray(w)) for w in part)
            for part in (new.trainable, new.non_trainable)
        )
    )


def _with_noise_seeds(state: Any, rng: np.random.Generator) -> Any:
    """A state in which what an aggregator draws noise from is set by the training's seed."""
    import tree

    def seeded(path: tuple[Any, ...], leaf: Any) -> Any:
        return np.array([rng.integers(2**31), 0], np.int32) if NOISE_SEED in path else leaf

    return tree.map_structure_with_path(seeded, state)


def _dependencies(training: Training, data: FederatedData) -> dict[str, int]:
    """Returns what an algorithm that depends on it reads of the training and the federation."""
    spec = algorithms.entry(training.algorithm).spec
    return {"population": len(data.clients)} if spec.by_population else {}
