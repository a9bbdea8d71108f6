"""From a model and training settings to a TFF learning process."""

from __future__ import annotations

import atexit
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import numpy as np

from pytest_federated.clients.cohort import Cohort
from pytest_federated.core.errors import FederatedError, ModelError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.registry.choice import choices_in
from pytest_federated.registry.registry import kind
from pytest_federated.tff.imports import silenced
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.aggregators.aggregator import build as aggregator_factory
from pytest_federated.training.aggregators.differential_privacy import NOISE_SEED
from pytest_federated.training.algorithms.algorithm import (
    AlgorithmInputs,
    LearningProcess,
    StatefulAlgorithm,
    algorithms,
)
from pytest_federated.training.algorithms.fedavg import client_training
from pytest_federated.training.communication import Traffic, traffic_of
from pytest_federated.training.engine import packed, standard
from pytest_federated.training.engine.choose import Execution, choose, standard_for
from pytest_federated.training.engine.update_scaling import is_scaled as takes_factors
from pytest_federated.training.evaluation.central import Evaluation, evaluate
from pytest_federated.training.models.adapters.adapter import CannotPack, Form
from pytest_federated.training.models.adapters.make import form_of
from pytest_federated.training.models.model import Shape, named
from pytest_federated.training.optimizers.optimizer import optimizer_of
from pytest_federated.training.schema import Training
from pytest_federated.user.functions import (
    blamed,
    cause,
    fingerprints,
    is_for_the_reader,
    user_line,
)

if TYPE_CHECKING:
    import tensorflow_federated as tff

# By what they are made of; each registration of something chosen has a type of its own.
_Key = tuple[str, tuple[type[Section], ...]]
_built: dict[_Key, Process] = {}
_forms: dict[_Key, Form] = {}
# While TensorFlow is still there to let go of its functions.
atexit.register(lambda: (_built.clear(), _forms.clear(), _new_weights.cache_clear()))
atexit.register(lambda: (packed.stack_training.cache_clear(), client_training.cache_clear()))


@dataclass(frozen=True)
class Process:
    """A learning process and what is needed to start, feed and judge it.

    Attributes:
        learning: the TFF process, or what stands for it; it has no random state of its own.
        execution: how clients are put onto placements.
        form: the scenario's model, as this process judges it.
        traffic: what a round sends to and from each client.
        initial_weights_file: where the model's weights come from; None for the seed.
        is_scaled: whether clients may multiply their updates by a factor.
    """

    learning: Union[LearningProcess, StatefulAlgorithm]
    execution: Execution
    form: Form
    traffic: Traffic
    initial_weights_file: Optional[str] = None
    is_scaled: bool = False

    def initial_state(self, seed: int, data: FederatedData) -> Any:
        """The server's state before the first round, with the weights that `seed` gives."""
        import tensorflow_federated as tff

        weights = self.initial_weights(seed)
        noise = generator(seed, Stream.AGGREGATION)
        if isinstance(self.learning, StatefulAlgorithm):
            rng = generator(seed, Stream.ALGORITHM, 0)
            return _with_noise_seeds(self.learning.start(weights, data, rng), noise)
        if self.execution.kind == "packed":  # a functional model keeps its weights as tuples
            weights = tff.learning.models.ModelWeights(
                *(tuple(w.numpy() for w in p) for p in (weights.trainable, weights.non_trainable))
            )
        state = self.learning.set_model_weights(self.learning.initialize(), weights)
        return state._replace(aggregator=_with_noise_seeds(state.aggregator, noise))

    def initial_weights(self, seed: int) -> tff.learning.models.ModelWeights:
        """The weights that `seed` gives a new model, or that a file does.

        Raises:
            DataError: there is no such file.
            ModelError: it has the weights of another model.
        """
        import tensorflow as tf

        draw = generator(seed, Stream.INITIAL_WEIGHTS).integers(2**31)
        with silenced():  # Keras warns of its own use of the random module
            if self.initial_weights_file is None:
                weights = _new_weights(self.form, int(draw))
            else:
                tf.keras.utils.set_random_seed(int(draw))
                weights = self.form.loaded_weights(self.initial_weights_file)
            tf.keras.utils.set_random_seed(int(draw))  # the same, known weights or new ones
            return weights

    def next(
        self, state: Any, cohort: Cohort, training: Training, seed: int, number: int
    ) -> tuple[Any, Mapping[str, Any]]:
        """The state after round `number`, and TFF's metrics of its training."""
        if isinstance(self.learning, StatefulAlgorithm):
            rng = generator(seed, Stream.ALGORITHM, number)
            return self.learning.next(state, cohort, training, rng)
        given = self.arguments(cohort.examples, training, cohort.steps, cohort.factors)
        state, measured = self.learning.next(state, given)
        return state, measured["client_work"]["train"]

    def planned_examples(self, cohort: Cohort, training: Training) -> int:
        """Examples that a round trains on, all epochs counted, where nothing goes wrong."""
        if isinstance(self.learning, StatefulAlgorithm):
            return self.learning.planned_examples(cohort, training)
        return cohort.planned_examples(training.batch_size)

    @property
    def computation(self) -> Any:
        """The TFF computation of a round."""
        return (
            self.learning.round
            if isinstance(self.learning, StatefulAlgorithm)
            else self.learning.next
        )

    def evaluate(self, state: Any, data: FederatedData, training: Training) -> Evaluation:
        """The model of that state on the test set, or the models where each client has its own."""
        if isinstance(self.learning, StatefulAlgorithm):
            return self.learning.evaluate(state, data, training, self.judge)
        return self.judge(self.learning.get_model_weights(state), data.test)

    def judge(self, weights: tff.learning.models.ModelWeights, examples: Examples) -> Evaluation:
        """The model with these weights on held-out examples."""
        self.form.set_weights(weights)
        return evaluate(self.form, examples)

    def arguments(
        self,
        cohort: Sequence[Examples],
        training: Training,
        steps: Optional[np.ndarray] = None,
        factors: Optional[np.ndarray] = None,
    ) -> Sequence[Any]:
        """What `learning.next` is given for a cohort, whose examples are in training order.

        With `steps`, int (clients,), the local steps of each client, where they are not all; and
        with `factors`, float32 (clients,), what each multiplies its update by.
        """
        if self.execution.kind == "packed":
            return packed.arguments(cohort, training, steps, factors)
        return standard.arguments(cohort, training, steps, factors if self.is_scaled else None)


def process_for(
    chosen: Optional[Section],
    training: Training,
    data: FederatedData,
    cohort_size: Optional[int] = None,
    is_scaled: bool = False,
) -> Process:
    """The process for these settings; built once for all seeds and variants that share them.

    Args:
        chosen: the model; None for an algorithm that needs none.
        training: algorithm, aggregator and optimizers.
        data: what the model has to fit.
        cohort_size: clients that a round is expected to have; all when None.
        is_scaled: whether clients may multiply their updates by a factor.

    Raises:
        ModelError: the model cannot be built, does not fit the data, or cannot be packed.
    """
    shape = Shape(
        data.train.x.shape[1:],
        data.num_classes,
        data.task,
        data.train.y.shape[1:],
        data.train.x.dtype.name,
        data.train.y.dtype.name,
    )
    parts = (
        chosen,
        training.algorithm,
        training.aggregator,
        training.client_optimizer,
        training.server_optimizer,
    )
    code = [part and fingerprints(part) for part in parts]
    settings = [part and part.model_dump(mode="json") for part in parts]
    told = _told(training, data)
    clients = 0
    if aggregators.entry(training.aggregator).spec.by_clients:
        clients = cohort_size or len(data.clients)
    shaper, form_of_it = _shaper(chosen, training)
    form_key = _key(
        shaper, text=[repr(shape), fingerprints(shaper), shaper.model_dump(mode="json")]
    )
    text = [repr(shape), training.execution, code, settings, told, clients, is_scaled]
    key = _key(*parts, text=text)
    if key not in _built:
        with silenced(), _in_one_line(chosen, training):
            if form_key not in _forms:
                _forms[form_key] = form_of_it(shaper, shape)
            _built[key] = _build(chosen, training, _forms[form_key], clients, is_scaled, told)
    return _built[key]


def _key(*parts: Optional[Section], text: Any) -> _Key:
    types = [
        type(one) for part in parts if part for one in (part, *(c for _, c in choices_in(part)))
    ]
    return json.dumps(text), tuple(types)


@contextlib.contextmanager
def _in_one_line(chosen: Optional[Section], training: Training) -> Iterator[None]:
    """Has whatever is raised while TensorFlow and TFF trace a model say what is the user's."""
    try:
        yield
    except Exception as error:
        if is_for_the_reader(error):
            raise
        if isinstance(error, FederatedError):  # raised in what autograph rewrote
            raise type(error)(cause(error)[1]) from error
        what = f"{named(chosen)}: " if chosen is not None else ""
        why = blamed(error)
        if cause(error)[0] == "InaccessibleTensorError":  # says nothing of where it comes from
            why = (
                "a layer adds a loss while it is called (activity_regularizer, add_loss), or keeps "
                "a tensor; kernel_regularizer can be used"
            )
        raise ModelError(
            f"{what}TFF cannot train it by {kind(training.algorithm)}: {why}"
        ) from error


def _shaper(
    chosen: Optional[Section], training: Training
) -> tuple[Section, Callable[[Section, Shape], Form]]:
    """What the form is made of, the model or an algorithm that needs none, and how."""
    entry = algorithms.entry(training.algorithm)
    if stand_in := entry.spec.form:
        return training.algorithm, stand_in
    if chosen is None:
        raise ModelError(f"model: missing; {entry.name} trains one")
    return chosen, form_of


def _build(
    chosen: Optional[Section],
    training: Training,
    form: Form,
    clients: int,
    scaled: bool,
    told: dict[str, int],
) -> Process:
    execution = choose(training, form)
    try:
        parts, learning = _learning(training, execution, form, clients, scaled, told)
    except Exception as error:
        if execution.kind != "packed" or is_for_the_reader(error):
            raise
        execution = standard_for(training, *_refusal_to_pack(error))
        parts, learning = _learning(training, execution, form, clients, scaled, told)
    is_own = isinstance(learning, StatefulAlgorithm)
    if scaled and execution.kind != "packed" and (is_own or not takes_factors(learning)):
        raise ModelError(
            f"clients.attacks: {kind(training.algorithm)} gives no way to change a client's "
            "update; label_flip does"
        )
    weights = form.some_weights
    traffic = traffic_of(training, parts, learning.sent(weights) if is_own else weights)
    file: Optional[str] = getattr(chosen, "initial_weights", None)
    return Process(learning, execution, form, traffic, file, scaled)


def _learning(
    training: Training,
    execution: Execution,
    form: Form,
    clients: int,
    scaled: bool,
    told: dict[str, int],
) -> tuple[AlgorithmInputs, Union[LearningProcess, StatefulAlgorithm]]:
    """The learning process for an execution, and what it is made of."""
    is_packed = execution.kind == "packed"
    parts = AlgorithmInputs(
        form.functional() if is_packed else form.model_fn,
        optimizer_of(training.client_optimizer),
        optimizer_of(training.server_optimizer),
        aggregator=aggregator_factory(training.aggregator, clients),
        packed=is_packed,
        scaled=scaled,
        form=form,
        **told,
    )
    return parts, algorithms.entry(training.algorithm).call(training.algorithm, parts)


def _refusal_to_pack(error: Exception) -> tuple[str, str]:
    """Why a model could not be packed: the same on all machines for a record, and for a message."""
    what, text = cause(error)
    if what == CannotPack.__name__:
        return text, text
    root: BaseException = error
    while isinstance(root, FederatedError) and (under := root.__cause__ or root.__context__):
        root = under
    line = user_line(root) or user_line(error)
    place = f" in line {line[1]} of {Path(line[0]).name}" if line else ""
    begin = "TFF can make no functional model of it"
    return f"{begin} ({cause(root)[0]}{place})", f"{begin}: {blamed(root)}"


@lru_cache(maxsize=8)
def _new_weights(form: Form, seed: int) -> tff.learning.models.ModelWeights:
    """The weights of a new model; the last are kept for variants that begin with the same."""
    import tensorflow as tf
    import tensorflow_federated as tff

    tf.keras.utils.set_random_seed(seed)
    new = form.new_weights()
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


def _told(training: Training, data: FederatedData) -> dict[str, int]:
    """What an algorithm that depends on it is told of the training and the federation."""
    spec = algorithms.entry(training.algorithm).spec
    told = {"rounds": training.rounds} if spec.by_round else {}
    return {**told, "population": len(data.clients)} if spec.by_population else told
