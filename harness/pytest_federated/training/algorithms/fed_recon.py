"""Federated reconstruction: models of which some layers stay with the client."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import numpy as np
from pydantic import Field

from pytest_federated.clients.cohort import Cohort, LocalWork, layer_keys, shuffled_examples
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import Examples, inputs_of
from pytest_federated.data.federation import FederatedData
from pytest_federated.registry.choice import Choice
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    Judge,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_layers import LocalLayers
from pytest_federated.training.algorithms.reconstruction import (
    JUDGED,
    Keys,
    PackedReconstruction,
    Reconstruction,
)
from pytest_federated.training.engine.datasets import not_rewritten
from pytest_federated.training.evaluation.central import Evaluation
from pytest_federated.training.models.random_layers import KEY, drawing_from
from pytest_federated.training.optimizers.optimizer import Unscheduled, optimizer_of, optimizers

if TYPE_CHECKING:
    import tensorflow as tf

# What comes with each batch: the steps that the client is to train on such batches, or 0 for a
# batch to reconstruct from.
_STEPS = "steps"


@algorithms(
    "fed_recon",
    example={"local_layers": "last"},
    packs=True,
    has_no_global_model=True,
    has_no_predictions=True,
    refuses={
        "training.client_optimizer.schedule": "the clients of TFF's build_fed_recon have the same "
        "optimizer in all rounds"
    },
    fixes_updates=True,
    tff=TffComposition(
        "build_fed_recon, build_fed_recon_eval",
        client_work="steps that reconstruct its own layers, then steps on the shared ones",
        distributor="the shared weights",
    ),
)
def fed_recon(
    inputs: AlgorithmInputs,
    *,
    local_layers: LocalLayers = "last",
    reconstruction_optimizer: Annotated[
        Optional[Section], Choice(optimizers, optional=True), Unscheduled
    ] = None,
    reconstruction_epochs: Annotated[int, Field(ge=1, description="`recon_epochs`.")] = 1,
    reconstruction_steps: Annotated[
        Optional[int], Field(ge=1, description="At most; `recon_steps_max`.")
    ] = None,
    split_dataset: Annotated[
        bool, Field(description="Every second batch is for reconstruction, and for nothing else.")
    ] = True,
    weighting: Literal["examples", "uniform"] = "examples",
) -> Algorithm:
    """FedRecon: some layers are each client's own and are rebuilt from its examples every round.

    A client first reconstructs its own layers while the others are fixed, in
    `reconstruction_epochs` passes over its examples with `reconstruction_optimizer` (by default the
    client optimizer). Then it trains the shared layers for `local_epochs` while its own are fixed,
    and sends only the change of the shared layers. With `split_dataset` the first, third, ... batch
    is for reconstruction and the others are for training, so a client needs two batches; without it
    all batches are for both. A client's own layers begin with the model's initial weights. Clients
    keep nothing from round to round: accuracy and loss are those of clients that reconstruct their
    layers from their training examples, each tested on the shared test set or, where clients have
    test examples of their own (`holdout: per_client`, or a test set that says whose they are), on
    these. With `local_layers: []` and `split_dataset: false` it is FedAvg. Built by
    `tff.learning.algorithms.build_fed_recon`, and evaluated by `build_fed_recon_eval`; for packed
    clients composed of the same parts.

    Source: Singhal et al., Federated Reconstruction: Partially Local Federated Learning, NeurIPS
    2021, algorithm 1, arXiv:2102.03448.
    """
    reconstruction = inputs.client_optimizer
    if reconstruction_optimizer is not None:
        reconstruction = optimizer_of(reconstruction_optimizer)
    keys = Keys(
        *(local_layers, reconstruction, reconstruction_epochs, reconstruction_steps),
        *(split_dataset, weighting),
    )
    return PackedReconstruction(inputs, keys) if inputs.packed else _FedRecon(inputs, keys)


class _FedRecon(Reconstruction):
    def __init__(self, inputs: AlgorithmInputs, keys: Keys) -> None:
        import tensorflow as tf

        from pytest_federated.training.tasks.metrics import keras_accuracy, keras_mean_loss

        tff: Any = import_tff()
        # TensorFlow would rewrite all that makes a model, which takes it seconds.
        as_is = tf.autograph.experimental.do_not_convert
        super().__init__(inputs, keys)
        adapter = self._adapter
        self._draws, losses = adapter.draws, adapter.losses
        stage = {"recon_epochs": keys.epochs, "recon_steps_max": keys.most_steps}

        @as_is
        def model_fn() -> Any:
            return _partly_local(
                adapter.build(), adapter.shape.spec(), self._shared, self._local, adapter.draws
            )

        @as_is
        def metrics(loss: Any, by_positions: bool) -> list[Any]:
            task = adapter.shape.task
            return [
                keras_accuracy(task, adapter.gives_logits),
                keras_mean_loss(task, loss, adapter.gives_logits, by_positions),
                tff.learning.metrics.NumExamplesCounter("num_examples"),
            ]

        models = tff.learning.models.ReconstructionModel
        # How often the batches are gone through comes with them.
        halves = models.build_dataset_split_fn(
            **stage, post_recon_epochs=None, split_dataset=keys.is_split
        )

        @as_is
        def to_train(batches: tf.data.Dataset) -> tuple[tf.data.Dataset, tf.data.Dataset]:
            first, then = halves(batches)
            return first, (
                then.enumerate()
                .take_while(lambda done, batch: done < batch[_STEPS])
                .map(lambda done, batch: batch)
            )

        @as_is
        def to_judge(batches: tf.data.Dataset) -> tuple[tf.data.Dataset, tf.data.Dataset]:
            first = models.build_dataset_split_fn(**stage)(
                batches.filter(lambda batch: tf.equal(batch[_STEPS], 0))
            )[0]
            return first, batches.filter(lambda batch: batch[_STEPS] > 0)

        weightings = tff.learning.ClientWeighting
        self._learning = tff.learning.algorithms.build_fed_recon(
            model_fn,
            loss_fn=lambda: losses.training,
            metrics_fn=lambda: metrics(losses.training, by_positions=False),
            server_optimizer_fn=inputs.server_optimizer,
            client_optimizer_fn=inputs.client_optimizer,
            reconstruction_optimizer_fn=keys.optimizer,
            dataset_split_fn=to_train,
            client_weighting=(
                weightings.NUM_EXAMPLES if keys.weighting == "examples" else weightings.UNIFORM
            ),
            model_aggregator_factory=inputs.aggregator,
        )
        self._evaluation = tff.learning.algorithms.build_fed_recon_eval(
            model_fn,
            loss_fn=lambda: losses.training,
            metrics_fn=lambda: metrics(losses.evaluation, adapter.by_positions),
            reconstruction_optimizer_fn=keys.optimizer,
            dataset_split_fn=to_judge,
        )
        self.computation = self._learning.next

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> Any:
        tff: Any = import_tff()
        values = [np.asarray(w) for w in weights.trainable]
        fixed = [np.asarray(w) for w in weights.non_trainable]
        begin = tff.learning.models.ModelWeights(
            [values[i] for i in self._shared], fixed + [values[i] for i in self._local]
        )
        return self._learning.set_model_weights(self._learning.initialize(), begin)

    def next(
        self, state: Any, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[Any, Mapping[str, Any]]:
        batches = [
            _tagged(own, work.batch_size_of(len(own)), steps, key if self._draws else None)
            for own, key, steps in zip(cohort.examples, cohort.keys, self._steps(cohort, work))
        ]
        state, measured = self._learning.next(state, batches)
        return state, _named(measured["client_work"]["train"])

    def evaluate(
        self, state: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> Evaluation:
        shared = self._learning.get_model_weights(state)
        return self._judged(shared, data, work, list(data.tested_by_client()))

    def client_evaluations(
        self, state: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> dict[int, Evaluation]:
        shared = self._learning.get_model_weights(state)
        return {
            client: self._judged(shared, data, work, [(client, examples)])
            for client, examples in data.tested_by_client()
        }

    @cached_property
    def _before_judging(self) -> Any:
        return self._evaluation.initialize()

    def _judged(
        self,
        shared: Any,
        data: FederatedData,
        work: LocalWork,
        tested: Sequence[tuple[int, Examples]],
    ) -> Evaluation:
        """Judges clients, by their positions, each on the examples that come with it.

        With the weights `shared` of the server's state.
        """
        process = self._evaluation
        judging, measured = process.set_model_weights(self._before_judging, shared), None
        for first in range(0, len(tested), JUDGED):
            # In an order as in training, but in no round's; a client may hold one label after the
            # other.
            batches = [
                _tagged(own, work.batch_size_of(len(own)), 0, key).concatenate(
                    _tagged(examples, work.batch_size_of(len(examples)), 1, key)
                )
                for client, examples in tested[first : first + JUDGED]
                for own in [shuffled_examples(data, client, data.seed, 0)]
                for key in (layer_keys(np.array([client]), data.seed, 0) if self._draws else [None])
            ]
            judging, measured = process.next(judging, batches)
        figures = _named(measured["client_work"]["eval"]["total_rounds_metrics"])  # type: ignore
        return Evaluation(float(figures["loss"]), float(figures["accuracy"]))


def _named(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """TFF's metrics, with the loss as a mean over examples; its own is one over batches."""
    return {**metrics, "loss": metrics["mean_loss"]}


def _tagged(
    examples: Examples, batch_size: int, steps: int, key: Optional[int] = None
) -> tf.data.Dataset:
    """Batches, with a number that comes with each, and with the client's key if there is one."""
    import tensorflow as tf

    def batches(values: Any) -> Any:
        return tf.data.Dataset.from_tensor_slices(values).batch(batch_size)

    def constant(value: Any) -> Any:
        return tf.data.Dataset.from_tensors(value).repeat()

    zipped: Any = OrderedDict(
        x=batches(inputs_of(examples.x)),
        y=batches(examples.y),
        **{_STEPS: constant(np.int64(steps))},
        **({} if key is None else {KEY: constant(np.int32(key))}),
    )
    return not_rewritten(tf.data.Dataset.zip(zipped))


def _partly_local(
    model: Any,
    spec: Mapping[str, Any],
    shared: Sequence[int],
    local: Sequence[int],
    draws: bool,
) -> Any:
    """A `tff.learning.models.ReconstructionModel` whose own weights begin as the server says.

    TFF leaves to Keras what the local weights are before they are reconstructed: numbers that no
    seed of a training reaches. Here the first ones come with the server's fixed weights, and are
    taken at the first batch.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    trainable = model.trainable_variables
    inner = tff.learning.models.ReconstructionModel.from_keras_model_and_variables(
        keras_model=model,
        global_trainable_variables=[trainable[i] for i in shared],
        global_non_trainable_variables=model.non_trainable_variables,
        local_trainable_variables=[trainable[i] for i in local],
        local_non_trainable_variables=[],
        input_spec=spec,
    )

    class PartlyLocal(tff.learning.models.ReconstructionModel):
        def __init__(self) -> None:
            self._first = [tf.Variable(tf.zeros_like(trainable[i]), trainable=False) for i in local]
            self._has_begun = tf.Variable(tf.constant(False), trainable=False)
            # Of the step, for layers that draw random numbers.
            self._key = tf.Variable(tf.constant([0, -1]), trainable=False)

        @property
        def global_trainable_variables(self) -> Any:
            return inner.global_trainable_variables

        @property
        def global_non_trainable_variables(self) -> Any:
            return inner.global_non_trainable_variables + self._first

        @property
        def local_trainable_variables(self) -> Any:
            return inner.local_trainable_variables

        @property
        def local_non_trainable_variables(self) -> Any:
            return [self._has_begun, self._key]

        @property
        def input_spec(self) -> Any:
            steps = {_STEPS: tf.TensorSpec((), tf.int64)}
            return OrderedDict(
                spec, **steps, **({KEY: tf.TensorSpec((), tf.int32)} if draws else {})
            )

        @tf.autograph.experimental.do_not_convert
        def forward_pass(self, batch_input: Any, training: bool = True) -> Any:
            for variable, first in zip(inner.local_trainable_variables, self._first):
                variable.assign(tf.where(self._has_begun, variable, first))
            self._has_begun.assign(True)
            if draws and training:
                self._key.assign(tf.stack([batch_input[KEY], self._key[1] + 1]))
            with drawing_from(self._key):
                return inner.forward_pass(batch_input, training=training)

    return PartlyLocal()
