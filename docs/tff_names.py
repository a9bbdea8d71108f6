"""The public names of TFF 0.87 for learning, and the scenario YAML that reaches each.

Each package has its public names; each name has the shortest YAML that reaches it and a remark,
which is required if there is no YAML. test_documentation.py compares the names with the installed
TFF and reads the YAML with pytest-federated.
"""

from __future__ import annotations

_OWN_PROCESS = 'training: {algorithm: {tff: "my_processes:build"}}'
_OWN_AGGREGATOR = 'training: {aggregator: {tff: "my_parts:aggregator"}}'
_OWN_OPTIMIZER = 'training: {client_optimizer: {tff: "my_parts:optimizer"}}'
_PART = (_OWN_PROCESS, "a part of a process; pytest-federated composes its processes from the same")
_IN_CLEAR = (
    "",
    "metrics are summed in the clear: in a simulation, a secure sum would only round them",
)
_SAMPLES = ("", "samples of clients' values; a record has the sums and each client's accuracy")
_SAVES = ("", "a run writes a record; its checkpoints are pytest-federated's own")
_METRIC = ("", "the data's task sets the metrics, see models.md")
_LOOP = ("", "a loop around a process, as pytest-federated is one itself")
_WEIGHT_1 = "the weighted one, with weight 1 for every client"
_FALLING = "{kind: sgd, learning_rate: 0.1, schedule: inverse_sqrt}"
_NOT_PACKED = "for clients that are not packed"
_HELPER = (_OWN_OPTIMIZER, "a helper for writing one")


def _algorithm(chosen: str, why: str = "") -> tuple[str, str]:
    return f"training: {{algorithm: {chosen}}}", why


def _aggregator(chosen: str, why: str = "") -> tuple[str, str]:
    return f"training: {{aggregator: {chosen}}}", why


def _optimizer(kind: str) -> tuple[str, str]:
    return f"training: {{client_optimizer: {{kind: {kind}, learning_rate: 0.1}}}}", ""


NAMES: dict[str, dict[str, tuple[str, str]]] = {
    "tff.learning.algorithms": {
        "build_fed_eval": (
            "data: {holdout: per_client}",
            "pytest-federated evaluates each client's examples at the server, with the same result",
        ),
        "build_fed_kmeans": _algorithm("{kind: kmeans, clusters: 10}"),
        "build_fed_recon": _algorithm("fed_recon", _NOT_PACKED),
        "build_fed_recon_eval": _algorithm("fed_recon", _NOT_PACKED),
        "build_fed_sgd": _algorithm("fedsgd"),
        "build_mime_lite_with_optimizer_schedule": (
            f"training: {{algorithm: mime_lite, client_optimizer: {_FALLING}}}",
            "not called, as it counts calls, and not rounds",
        ),
        "build_personalization_eval_computation": ("training: {personalize: {steps: 10}}", ""),
        "build_unweighted_fed_avg": _algorithm("{kind: fedavg, weighting: uniform}", _WEIGHT_1),
        "build_unweighted_fed_prox": _algorithm(
            "{kind: fedprox, mu: 0.1, weighting: uniform}", _WEIGHT_1
        ),
        "build_unweighted_mime_lite": _algorithm(
            "{kind: mime_lite, weighting: uniform}", _WEIGHT_1
        ),
        "build_weighted_fed_avg": _algorithm("fedavg"),
        "build_weighted_fed_avg_with_optimizer_schedule": (
            f"training: {{client_optimizer: {_FALLING}}}",
            "not called, for the same reason",
        ),
        "build_weighted_fed_prox": _algorithm(
            "{kind: fedprox, mu: 0.1}",
            "not called, as it subtracts the proximal term, see [fedprox](#fedprox)",
        ),
        "build_weighted_mime_lite": _algorithm("mime_lite"),
    },
    "tff.learning": {
        "ClientWeighting": _algorithm("{kind: fedavg, weighting: uniform}"),
        "LoopImplementation": (
            "",
            "always the iterator; the other gives the same numbers but is slower",
        ),
        "add_debug_measurements": ("", "figures for debugging an aggregator, which no record has"),
        "add_debug_measurements_with_mixed_dtype": ("", "the same"),
        "compression_aggregator": _aggregator(
            "compression", "rebuilt from its parts, as it rounds at random"
        ),
        "ddp_secure_aggregator": _aggregator(
            "{kind: distributed_dp, noise_multiplier: 1.0}",
            "rebuilt from its parts, as its noise is seeded by the clock",
        ),
        "dp_aggregator": _aggregator(
            "{kind: dp, noise_multiplier: 1.0}",
            "rebuilt from its parts, with noise from the scenario's seed",
        ),
        "robust_aggregator": _aggregator("robust"),
        "secure_aggregator": _aggregator("secure"),
    },
    "tff.aggregators": {
        "AggregationFactory": (_OWN_AGGREGATOR, ""),
        "DifferentiallyPrivateFactory": _aggregator(
            "{kind: dp, noise_multiplier: 1.0}", "its tree aggregation: `dp_ftrl`"
        ),
        "DiscreteFourierTransformFactory": _aggregator(
            "{kind: distributed_dp, noise_multiplier: 1.0, rotation_type: dft}", "its rotation"
        ),
        "EncodedSumFactory": _aggregator("compression"),
        "HadamardTransformFactory": _aggregator(
            "{kind: distributed_dp, noise_multiplier: 1.0}", "its rotation"
        ),
        "MeanFactory": _aggregator("mean"),
        "PrivateQuantileEstimationProcess": _aggregator("clipping"),
        "SecureModularSumFactory": (_OWN_AGGREGATOR, ""),
        "SecureSumFactory": _aggregator("secure"),
        "SumFactory": (_OWN_AGGREGATOR, ""),
        "UnweightedAggregationFactory": (_OWN_AGGREGATOR, ""),
        "UnweightedMeanFactory": _algorithm("{kind: fedavg, weighting: uniform}", _WEIGHT_1),
        "UnweightedReservoirSamplingFactory": _SAMPLES,
        "WeightedAggregationFactory": (_OWN_AGGREGATOR, ""),
        "add_measurements": (_OWN_AGGREGATOR, "records do not keep what it measures"),
        "as_weighted_aggregator": (_OWN_AGGREGATOR, "applied to any factory without weights"),
        "clipping_factory": _aggregator("clipping"),
        "concat_factory": (_OWN_AGGREGATOR, ""),
        "federated_sample": _SAMPLES,
        "secure_quantized_sum": (_OWN_AGGREGATOR, ""),
        "zeroing_factory": _aggregator("zeroing"),
    },
    "tff.learning.optimizers": {
        "LEARNING_RATE_KEY": ("", "a name in an optimizer's state, which schedules use"),
        "Optimizer": (_OWN_OPTIMIZER, ""),
        "build_adafactor": _optimizer("adafactor"),
        "build_adagrad": _optimizer("adagrad"),
        "build_adam": _optimizer("adam"),
        "build_adamw": _optimizer("adamw"),
        "build_rmsprop": _optimizer("rmsprop"),
        "build_sgdm": _optimizer("sgd"),
        "build_yogi": _optimizer("yogi"),
        "check_weights_gradients_match": _HELPER,
        "handle_indexed_slices_gradients": _HELPER,
        "schedule_learning_rate": (
            'training: {server_optimizer: {tff: "my_parts:falling"}}',
            "by call; by round: `schedule` of an optimizer",
        ),
    },
    "tff.learning.models": {
        "BatchOutput": ('model: {variable: "my_models:build"}', "what such a model returns"),
        "FunctionalModel": ('model: {functional: "my_models:build"}', ""),
        "ModelWeights": (_OWN_PROCESS, "what it passes on"),
        "ReconstructionDatasetSplitFn": _algorithm(
            "{kind: fed_recon, split_dataset: true}",
            f"how a client's batches are divided, {_NOT_PACKED}",
        ),
        "ReconstructionModel": _algorithm("{kind: fed_recon, local_layers: last}", _NOT_PACKED),
        "VariableModel": ('model: {variable: "my_models:build"}', ""),
        "from_keras_model": ('model: {keras: "my_models:build"}', ""),
        "functional_model_from_keras": (
            'model: {keras: "my_models:build"}',
            "not called: packed clients have a model of this kind that is traced once",
        ),
        "load": ('model: {variable: "my_models:saved"}', "call it in your function"),
        "load_functional_model": (
            'model: {functional: "my_models:saved"}',
            "call it in your function",
        ),
        "model_from_functional": (
            'model: {functional: "my_models:build"}',
            _NOT_PACKED,
        ),
        "save": _SAVES,
        "save_functional_model": _SAVES,
        "weights_type_from_model": (_OWN_PROCESS, "a helper for writing one"),
    },
    "tff.learning.metrics": {
        "FinalizeThenSampleFactory": _SAMPLES,
        "FunctionalMetricFinalizersType": _METRIC,
        "MetricFinalizersType": _METRIC,
        "MetricsAggregatorType": _METRIC,
        "NumBatchesCounter": _algorithm(
            "{kind: fedavg, weighting: num_batches}", "counted by pytest-federated itself"
        ),
        "NumExamplesCounter": _algorithm("{kind: fedavg, weighting: examples}"),
        "SecureSumFactory": _IN_CLEAR,
        "SumThenFinalizeFactory": ("", "a part of `sum_then_finalize`"),
        "create_default_secure_sum_quantization_ranges": _IN_CLEAR,
        "create_functional_metric_fns": _METRIC,
        "create_keras_metric_finalizer": _METRIC,
        "finalize_then_sample": _SAMPLES,
        "secure_sum_then_finalize": _IN_CLEAR,
        "sum_then_finalize": _algorithm("fedavg"),
    },
    "tff.learning.templates": {
        "ClientResult": _PART,
        "ClientWorkProcess": _PART,
        "DistributionProcess": _PART,
        "FinalizerProcess": _PART,
        "LearningAlgorithmState": _PART,
        "LearningProcess": (_OWN_PROCESS, ""),
        "LearningProcessOutput": _PART,
        "build_apply_optimizer_finalizer": _PART,
        "build_broadcast_process": _PART,
        "build_functional_model_delta_client_work": _PART,
        "build_model_delta_client_work": _PART,
        "compose_learning_process": (_OWN_PROCESS, ""),
        "reject_non_finite_update": (
            _OWN_PROCESS,
            "in every process: a client whose change is not finite has weight 0",
        ),
    },
    "tff.learning.programs": {
        "EvaluationManager": _LOOP,
        "ProgramState": _LOOP,
        "extract_and_rewrap_metrics": _LOOP,
        "train_model": _LOOP,
        "train_model_with_vizier": (
            "",
            "a search for settings; a `matrix` tries the given ones",
        ),
    },
}
