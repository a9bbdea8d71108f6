"""Tables, for the terminal and for Markdown alike."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any, Optional

from tabulate import tabulate

from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.dropout.dropout import dropouts
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.schema import Usual
from pytest_federated.data.sizes.size import sizes
from pytest_federated.data.splits.partition import splits
from pytest_federated.metrics.statistics import summarize
from pytest_federated.registry.registry import Registry
from pytest_federated.report.figures import FIGURES, deviation, mean
from pytest_federated.results.record import Result, Verdict
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.history import TrainingHistory
from pytest_federated.training.privacy import ACCOUNTANT


def figure(value: Optional[float], digits: int = 4) -> str:
    """A figure with at most `digits` significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1), as ``0.953 ± 0.012``."""
    if not values:
        return "–"
    if not all(math.isfinite(v) for v in values):
        return "not finite"
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def interval(values: Sequence[float]) -> str:
    """Mean and half the width of its 95 % interval, as ``0.953 ± 0.012``."""
    if not values:
        return "–"
    if not all(math.isfinite(v) for v in values):
        return "not finite"
    found = summarize(values)
    mean = f"{found.mean:.3f}"
    return mean if found.high is None else f"{mean} ± {found.high - found.mean:.3f}"


def headline(result: Result) -> str:
    """The result in a few words, behind a PASSED or FAILED."""
    if result.status not in ("passed", "failed"):
        return f"({result.reason or result.status})"
    return f"(accuracy {spread(result.accuracies)})"


_LISTED = 12  # items of a list that are shown
VERDICT_COLUMNS = ("expectation", "expected", "measured", "95 % interval", "margin", "verdict")
SUMMARY_COLUMNS = (
    "scenario",
    "clients",
    "split",
    "heterogeneity",
    "algorithm",
    "rounds",
    "seeds",
    "accuracy ± 95 %",
    "rounds to target",
    "verdict",
)


def verdict_rows(result: Result) -> list[list[str]]:
    """One row an expectation: expected, measured, interval of the mean, margin, verdict."""
    return [
        [v.expectation, v.expected, _measured(v), _interval(v), _signed(v.margin), decision(v)]
        for v in result.verdicts
    ]


def decision(verdict: Verdict) -> str:
    """What a verdict says: ``pass``, ``FAIL``, and whether that is certain."""
    if verdict.outcome == "not judged":
        return "–"
    decided = "pass" if verdict.passed else "FAIL"
    if verdict.outcome != "inconclusive":
        return decided
    more = f"; {verdict.more_seeds} more seed(s)" if verdict.more_seeds else ""
    return f"{decided} (inconclusive{more})"


def seed_rows(result: Result) -> tuple[list[list[str]], list[str]]:
    """The figures behind the means: one row a seed, one column an expectation; and the headers.

    Empty where there is one seed, whose figures are the means.
    """
    shown = [v for v in result.verdicts if len(v.figures) > 1]
    if not shown:
        return [], []
    rows = [
        [str(history.seed), *(figure(v.figures[place]) for v in shown)]
        for place, history in enumerate(result.histories)
    ]
    return rows, ["seed", *(v.expectation for v in shown)]


def plain_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """A table for the terminal."""
    return tabulate(rows, columns, tablefmt="simple", disable_numparse=True)


def missed_line(verdict: Verdict) -> str:
    """A missed expectation in a few words: ``accuracy 0.88, expected >= 0.9``."""
    certainty = " (inconclusive)" if verdict.outcome == "inconclusive" else ""
    return f"{verdict.expectation} {_measured(verdict)}, expected {verdict.expected}{certainty}"


def summary_row(result: Result) -> list[str]:
    """One row of the summary, with `SUMMARY_COLUMNS`.

    Heterogeneity is the mean Jensen-Shannon distance between the labels of two clients.
    """
    training, clients = result.settings["training"], result.settings["clients"]
    count = (
        len(result.histories[0].client_examples) if result.histories else clients["count"] or "all"
    )
    distances = [h.heterogeneity.jensen_shannon for h in result.histories if h.heterogeneity]
    return [
        result.id,
        str(count),
        ", ".join(
            [
                choice(splits, clients["split"]),
                *([f"size {choice(sizes, clients['size'])}"] if clients.get("size") else []),
                *(f"shift {shift['kind']}" for shift in clients.get("shift", [])),
                *(f"{key} {told}" for key, told in participation_rows(clients)),
            ]
        ),
        f"{statistics.fmean(distances):.3f}" if distances else "–",
        ", ".join([choice(algorithms, training["algorithm"]), *_aggregator(training)]),
        str(training["rounds"]),
        str(len(result.settings["seeds"])),
        interval(result.accuracies),
        _rounds_to_target(result),
        result.status,
    ]


def participation_rows(clients: dict[str, Any]) -> list[list[str]]:
    """How clients come, go and behave, as settings with their values, where a scenario says so."""
    registries: dict[str, Registry[Any, ..., Any]] = {
        "sampling": samplers,
        "dropout": dropouts,
        "stragglers": stragglers,
        "attacks": attacks,
    }
    chosen = {key: clients.get(key) for key in registries}
    return [
        [key, choice(registries[key], one)]
        for key, one in chosen.items()
        if one and one != {"kind": "uniform"}
    ]


def _rounds_to_target(result: Result) -> str:
    """Mean over seeds of what the scenario's expectation of it measured: ``8.67 to 0.8``."""
    found = next((v for v in result.verdicts if v.expectation == "rounds_to_accuracy"), None)
    if found is None:
        return "–"
    target = result.settings["expect"]["rounds_to_accuracy"]["target"]
    if found.measured is None:
        return f"not to {target:g}" if found.outcome == "fail" else "–"
    return f"{figure(found.measured, 3)} to {target:g}"


def seed_table(result: Result) -> tuple[list[list[str]], list[str]]:
    """What each seed came to, with mean and standard deviation.

    Figures of the report and of the expectations; those that no seed has are left out.

    Returns:
        The rows, and the columns' names.
    """
    found = {one.title: [one.of(h) for h in result.histories] for one in FIGURES.values()}
    for verdict in result.verdicts:
        if len(verdict.figures) == len(result.histories):
            found.setdefault(verdict.expectation, list(verdict.figures))
    found = {t: column for t, column in found.items() if any(v is not None for v in column)}
    rows = [
        [str(h.seed), *(figure(column[place]) for column in found.values())]
        for place, h in enumerate(result.histories)
    ]
    if len(rows) > 1:
        known = [[v for v in column if v is not None] for column in found.values()]
        rows.append(["mean", *(figure(mean(column)) for column in known)])
        rows.append(["standard deviation", *(figure(deviation(c), 2) for c in known)])
    return rows, ["seed", *found]


def recall_table(result: Result) -> tuple[list[list[str]], list[str]]:
    """Recall of the final model by label, mean over seeds; of many labels, the worst.

    Returns:
        The row and the columns' names; both empty where it was not measured.
    """
    by_label: dict[int, list[float]] = {}
    for history in result.histories:
        for label, recall in enumerate(history.class_recall):
            if recall is not None:
                by_label.setdefault(label, []).append(recall)
    means = {label: statistics.fmean(found) for label, found in sorted(by_label.items())}
    shown = list(means) if len(means) <= _LISTED else sorted(means, key=means.__getitem__)[:_LISTED]
    if not shown:
        return [], []
    what = "recall" if len(shown) == len(means) else f"recall, worst {len(shown)} of {len(means)}"
    return [[what, *(f"{means[label]:.3f}" for label in shown)]], ["label", *map(str, shown)]


def _aggregator(training: dict[str, Any]) -> list[str]:
    """The aggregator in short, where it is not the plain mean."""
    chosen = training.get("aggregator")
    return [chosen["kind"]] if chosen and chosen["kind"] != "mean" else []


def aggregation_rows(result: Result) -> list[list[str]]:
    """The aggregator, where it is not the plain mean, and the privacy that it gives."""
    chosen = result.settings["training"].get("aggregator")
    if not chosen or chosen["kind"] == "mean":
        return []
    rows = [["aggregator", choice(aggregators, chosen)]]
    found = [h.epsilon for h in result.histories if h.epsilon is not None]
    if not found:
        entry = aggregators.get(chosen["kind"])
        is_private = entry is not None and entry.spec.private is not None
        none = "no epsilon can be promised for this sampling, dropout, stragglers or zeroing"
        return [*rows, ["privacy of a client", none]] if is_private else rows
    sampling = choice(samplers, result.settings["clients"]["sampling"])
    told = f"epsilon {figure(max(found))} at delta {figure(result.histories[0].delta)}"
    how = [ACCOUNTANT, f"{sampling} sampling"]
    if approximation := aggregators[chosen["kind"]].spec.private:
        told, how = f"about {told}", [*how, approximation]
    return [*rows, ["privacy of a client", f"{told} ({', '.join(how)})"]]


def heterogeneity_rows(result: Result) -> list[list[str]]:
    """How non-IID the clients came out, as settings with their values: means over seeds.

    Empty for a record that is older than these figures.
    """
    found = [h.heterogeneity for h in result.histories if h.heterogeneity]
    if not found:
        return []

    def of(name: str) -> str:
        return figure(statistics.fmean(getattr(h, name) for h in found), 3)

    rows = [
        ["Gini of sizes", of("gini")],
        ["label entropy", f"{of('label_entropy')} of {of('pooled_label_entropy')} nats"],
        [
            "label distances",
            f"Jensen-Shannon {of('jensen_shannon')}, Hellinger {of('hellinger')}, "
            f"earth mover's {of('earth_mover')}",
        ],
    ]
    unused = sorted({h.unused for h in found})
    told = " to ".join(map(str, sorted({unused[0], unused[-1]})))
    return [*rows, ["examples of no client", told]] if any(unused) else rows


def layer_rows(history: TrainingHistory) -> list[list[str]]:
    """The model's layers as a setting with its value; empty for a record that has none.

    Of layers with parameters the shape of the output and these; of very many, kinds and numbers.
    """
    layers = history.model_summary
    if not layers:
        return []
    if len(layers) > _LISTED:
        kinds = Counter(kind for kind, _, _ in layers)
        return [["layers", ", ".join(f"{count} {kind}" for kind, count in kinds.items())]]
    told = (f"{kind} {shape} ({n:,})" if n else kind for kind, shape, n in layers)
    return [["layers", ", ".join(" ".join(one.split()) for one in told)]]


def traffic_rows(history: TrainingHistory) -> list[list[str]]:
    """Bytes that a client is sent in a round and sends back; empty for a record without them."""
    for done in history.rounds:
        if done.clients and done.bytes_down is not None and done.bytes_up is not None:
            down = done.bytes_down // (done.clients + done.dropped)
            up, whole = done.bytes_up // done.clients, history.update_bytes
            before = "" if whole in (up, None) else f" ({whole:,} before compression)"
            return [["bytes per round", f"each client {down:,} down, {up:,} up{before}"]]
    return []


def choice(registry: Registry[Any, ..., Any], chosen: dict[str, Any]) -> str:
    """A choice and its parameters, as ``dirichlet (alpha 0.5)``.

    Numbers are always shown; words, and the framework's own keys, only where they are not the
    defaults.
    """
    name = chosen["kind"]
    entry = registry.get(name)
    own = entry.keywords if entry else ()
    fields = entry.params.model_fields if entry else {}

    def is_plain(key: str) -> bool:
        value = chosen[key]
        is_number = isinstance(value, (int, float, list)) and not isinstance(value, bool)
        told = key in own and is_number
        if told or key not in fields:
            return False
        usual = [note.value for note in fields[key].metadata if isinstance(note, Usual)]
        return value in (fields[key].default, *usual)

    # In the order of the function: a record that was read back has its keys sorted.
    places = {key: place for place, key in enumerate(own)}
    keys = sorted((k for k in chosen if k != "kind"), key=lambda k: (places.get(k, len(own)), k))
    shown = ", ".join(f"{k} {_plain(chosen[k], registry)}" for k in keys if not is_plain(k))
    return f"{name} ({shown})" if shown else name


def _plain(value: Any, registry: Registry[Any, ..., Any]) -> str:
    if isinstance(value, dict) and value.get("kind") in registry:  # a choice within a choice
        return choice(registry, value)
    if isinstance(value, dict):  # a setting of its own, such as a schedule
        keys = sorted(k for k in value if k != "kind")  # as a record that was read back has them
        told = ", ".join(f"{k} {_plain(value[k], registry)}" for k in keys)
        return f"{value['kind']} ({told})" if "kind" in value else told
    if isinstance(value, list) and value and isinstance(value[0], list):
        return f"of {len(value)} x {len(value[0])}"
    if isinstance(value, list):
        shown = "-".join(_plain(v, registry) for v in value[:_LISTED])
        return f"{shown}-..." if len(value) > _LISTED else shown
    return f"{value:g}" if isinstance(value, float) else str(value)


def _measured(verdict: Verdict) -> str:
    if verdict.measured is None:
        return verdict.note
    shown = figure(verdict.measured)
    return f"{shown} ± {figure(verdict.spread, 2)}" if verdict.spread is not None else shown


def _interval(verdict: Verdict) -> str:
    if verdict.low is None or verdict.high is None:
        return "–"
    return f"{figure(verdict.low)} to {figure(verdict.high)}"


def _signed(value: Optional[float]) -> str:
    return "–" if value is None else f"{value:+.3g}"
