"""The settings of a scenario, and what they came to."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any, cast

from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.dropout.dropout import dropouts
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.text import counted
from pytest_federated.data.datasets.dataset import datasets, has_test_set
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.data.sizes.size import sizes
from pytest_federated.data.splits.partition import splits
from pytest_federated.registry.registry import Registry
from pytest_federated.report.tables.cells import figure
from pytest_federated.report.tables.choices import LISTED, choice_text
from pytest_federated.results.record import Result
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.models.model import models
from pytest_federated.training.optimizers.optimizer import optimizers
from pytest_federated.training.privacy import ACCOUNTANT

_FEATURES = 80  # columns that the names of features take


def settings_rows(result: Result) -> list[list[str]]:
    """The settings that matter, with their values, and then what they came to."""
    return [*choice_rows(result), *outcome_rows(result)]


def choice_rows(result: Result) -> list[list[str]]:
    """The settings that matter, as the scenario's file has them."""
    s = result.settings
    training, clients, data = s["training"], s["clients"], s["data"]
    held = len(result.histories[0].client_examples) if result.histories else clients["count"]
    per_round = clients["per_round"] if clients["per_round"] is not None else "all"
    sampler = samplers.get((clients.get("sampling") or {}).get("kind", ""))
    drawn = f", {per_round} per round" if sampler is None or sampler.spec.sized else ""
    shifted = [choice_text(shifts, shift) for shift in clients.get("shift", [])]
    aggregator = training.get("aggregator")
    entry = algorithms.get(training["algorithm"]["kind"])
    unused = entry.spec.unused if entry else ()
    size, steps = training["batch_size"], training.get("local_steps")
    work = f"{training['local_epochs']} epoch(s)" if steps is None else f"{steps} step(s)"
    optimizer = {
        side: choice_text(optimizers, training[f"{side}_optimizer"])
        for side in ("client", "server")
    }
    if entry and entry.spec.server_step:  # the optimizer only has its rate
        optimizer["server"] = optimizer["server"].replace("sgd", "own step", 1)
    local = [
        ("local_epochs", ["local training", f"{work}, batch size {size}"]),
        *((f"{side}_optimizer", [f"{side} optimizer", text]) for side, text in optimizer.items()),
    ]
    return [
        ["data", choice_text(datasets, data["dataset"])],
        ["clients", f"{held or 'all'}{drawn}"],
        ["split", choice_text(splits, clients["split"])],
        *([["size", choice_text(sizes, clients["size"])]] if clients.get("size") else []),
        *([["shift", ", ".join(shifted)]] if shifted else []),
        *participation_rows(clients),
        *([["model", choice_text(models, s["model"])]] if s["model"] else []),
        ["algorithm", choice_text(algorithms, training["algorithm"])],
        *(
            [["aggregator", choice_text(aggregators, aggregator)]]
            if aggregator and aggregator["kind"] != "mean"
            else []
        ),
        ["rounds", str(training["rounds"])],
        *(row for key, row in local if key not in unused),
        *_loss_rows(training),
        ["seeds", ", ".join(str(n) for n in s["seeds"])],
    ]


def outcome_rows(result: Result) -> list[list[str]]:
    """What the settings came to: sizes, heterogeneity, the model's layers, bytes, privacy."""
    own = [n for h in result.histories for n in h.client_examples]
    first = result.histories[0]
    parameters = first.parameters
    return [
        ["test examples", _tested(result.settings["data"], first)],
        *_features(first),
        *_counted("validation examples", first.validation_examples),
        *_counted("clients with test examples", first.tested_clients),
        *_counted("unseen clients", first.unseen_clients),
        *_counted("clients left out as too small", first.left_out_clients),
        [
            "examples per client",
            f"{min(own)} to {max(own)} (median {figure(statistics.median(own))})",
        ],
        *heterogeneity_rows(result),
        *([["parameters", f"{parameters:,}"]] if parameters is not None else []),
        *layer_rows(first),
        *traffic_rows(first),
        *privacy_rows(result),
        ["execution", first.execution],
    ]


def _loss_rows(training: dict[str, Any]) -> list[list[str]]:
    """The loss and the weights of labels, where the scenario chooses them."""
    rows = [["loss", training["loss"]]] if training.get("loss") else []
    weights = training.get("class_weights")
    if isinstance(weights, dict):
        of_labels = cast("dict[str, float]", weights)
        weights = ", ".join(f"{label}: {weight:g}" for label, weight in of_labels.items())
    return [*rows, ["class weights", weights]] if weights else rows


def _features(history: TrainingHistory) -> list[list[str]]:
    names = counted(history.feature_names, history.features, _FEATURES)
    return [["features", names]] if history.features else []


def _counted(what: str, count: int) -> list[list[str]]:
    return [[what, str(count)]] if count else []


def _tested(data: dict[str, Any], history: TrainingHistory) -> str:
    is_shared = history.has_shared_test or has_test_set(data["dataset"])
    is_held_by_clients = data.get("holdout") == "per_client" and not is_shared
    examples = str(history.test_examples)
    return f"{examples}, held out by the clients" if is_held_by_clients else examples


def participation_rows(clients: dict[str, Any]) -> list[list[str]]:
    """How clients come, go and behave, as settings with their values, where a scenario says so."""
    registries: dict[str, Registry[Any, ..., Any]] = {
        "sampling": samplers,
        "dropout": dropouts,
        "stragglers": stragglers,
        "attacks": attacks,
    }
    choices = {key: clients.get(key) for key in registries}
    return [
        [key, choice_text(registries[key], choice)]
        for key, choice in choices.items()
        if choice and choice != {"kind": "uniform"}
    ]


def heterogeneity_rows(result: Result) -> list[list[str]]:
    """How non-IID the clients came out, as settings with their values: means over seeds.

    Empty for a record that is older than these figures.
    """
    measured = [h.heterogeneity for h in result.histories if h.heterogeneity]
    if not measured:
        return []

    def of(name: str) -> str:
        return figure(statistics.fmean(getattr(h, name) for h in measured), 3)

    rows = [["Gini of sizes", of("gini")]]
    of_labels = [
        ["label entropy", f"{of('label_entropy')} of {of('pooled_label_entropy')} nats"],
        [
            "label distances",
            f"Jensen-Shannon {of('jensen_shannon')}, Hellinger {of('hellinger')}, "
            f"earth mover's {of('earth_mover')}",
        ],
    ]
    if all(history.has_labels for history in result.histories):
        rows += of_labels
    unused = sorted({h.unused for h in measured})
    counts = " to ".join(map(str, sorted({unused[0], unused[-1]})))
    return [*rows, ["examples of no client", counts]] if any(unused) else rows


def layer_rows(history: TrainingHistory) -> list[list[str]]:
    """The model's layers as a setting with its value; empty for a record that has none.

    Of layers with parameters the shape of the output and these; of very many, kinds and numbers.
    """
    layers = history.model_summary
    if not layers:
        return []
    if len(layers) > LISTED:
        kinds = Counter(kind for kind, _, _ in layers)
        return [["layers", ", ".join(f"{count} {kind}" for kind, count in kinds.items())]]
    texts = (f"{kind} {shape} ({n:,})" if n else kind for kind, shape, n in layers)
    return [["layers", ", ".join(" ".join(text.split()) for text in texts)]]


def traffic_rows(history: TrainingHistory) -> list[list[str]]:
    """Bytes that a client is sent in a round and sends back; empty for a record without them."""
    for done in history.rounds:
        if done.clients and done.bytes_down is not None and done.bytes_up is not None:
            down = done.bytes_down // (done.clients + done.dropped)
            up, whole = done.bytes_up // done.clients, history.update_bytes
            before = "" if whole in (up, None) else f" ({whole:,} before compression)"
            return [["bytes per round", f"each client {down:,} down, {up:,} up{before}"]]
    return []


def privacy_rows(result: Result) -> list[list[str]]:
    """The privacy that the aggregator gives, where it is one that gives any."""
    aggregator = result.settings["training"].get("aggregator")
    if not aggregator or aggregator["kind"] == "mean":
        return []
    entry = aggregators.get(aggregator["kind"])  # None where it is not registered any more
    epsilons = [h.epsilon for h in result.histories if h.epsilon is not None]
    if not epsilons:
        is_private = entry is not None and entry.spec.private is not None
        none = "no epsilon can be promised for this sampling, dropout, stragglers or zeroing"
        return [["privacy of a client", none]] if is_private else []
    sampling = choice_text(samplers, result.settings["clients"]["sampling"])
    epsilon = f"epsilon {figure(max(epsilons))} at delta {figure(result.histories[0].delta)}"
    how = [ACCOUNTANT, f"{sampling} sampling"]
    if approximation := entry and entry.spec.private:
        epsilon, how = f"about {epsilon}", [*how, approximation]
    return [["privacy of a client", f"{epsilon} ({', '.join(how)})"]]
