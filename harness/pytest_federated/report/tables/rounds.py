"""All rounds of a scenario."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from typing import Optional

from pytest_federated.metrics.measure import columns
from pytest_federated.metrics.of_clients import metrics_of_clients
from pytest_federated.metrics.scales import SCALES
from pytest_federated.metrics.statistics import mean_of
from pytest_federated.report.tables.cells import figure, interval
from pytest_federated.report.tables.table import Table
from pytest_federated.results.record import Result
from pytest_federated.training.history import ON_VALIDATION, Round


def by_round(result: Result) -> dict[int, list[Round]]:
    """The rounds of all seeds, by number, as far as all of them go.

    Trainings that did not come to their end are left out, unless none did.
    """
    histories = result.whole or result.histories
    return {of_seeds[0].round: list(of_seeds) for of_seeds in zip(*(h.rounds for h in histories))}


def round_table(result: Result, shown: Optional[Collection[int]] = None) -> Table:
    """The rounds, or those of these numbers, with means over seeds.

    The accuracy has its 95 % interval. With the clients that took part, where these are not the
    same number in all rounds, with the metrics of predictions, and with figures of the validation
    set and of single clients where there are any. Without accuracy where numbers are predicted.
    """
    have_accuracy = all(history.has_labels for history in result.histories)
    known = columns([result])
    scored = [m for m in known if m.spec.score is not None]
    rounds = by_round(result)
    differ = len({one.clients for of_seeds in rounds.values() for one in of_seeds}) > 1
    of_validation = [
        name
        for name in ON_VALIDATION
        if any(getattr(r, name) is not None for of in rounds.values() for r in of)
    ]
    of_clients = {
        number: [metrics_of_clients(r) for r in done if r.client_accuracy or r.client_scores]
        for number, done in rounds.items()
    }
    by_client = [
        m for m in known if any(m.name in values for of in of_clients.values() for values in of)
    ]
    rows: list[list[str]] = []
    for number in rounds if shown is None else shown:
        done = rounds[number]
        losses = [r.loss for r in done if r.loss is not None]
        train_losses = [r.train_loss for r in done if r.train_loss is not None]
        train_accuracies = [r.train_accuracy for r in done if r.train_accuracy is not None]
        scores = [[r.scores[m.name] for r in done if m.name in r.scores] for m in scored]
        train_accuracy = f"{statistics.fmean(train_accuracies):.3f}" if train_accuracies else "–"
        validated = [
            [v for r in done if (v := getattr(r, name)) is not None] for name in of_validation
        ]
        accuracy = interval([r.accuracy for r in done if r.accuracy is not None], SCALES["share"])
        rows.append(
            [
                str(number),
                *([figure(statistics.fmean(r.clients for r in done))] if differ else []),
                figure(statistics.fmean(train_losses)) if train_losses else "–",
                *([train_accuracy] if have_accuracy else []),
                figure(statistics.fmean(losses)) if losses else "–",
                *([accuracy] if have_accuracy else []),
                *(figure(mean_of(values)) for values in scores),
                *(figure(mean_of(values)) for values in validated),
                *(
                    figure(mean_of([v[m.name] for v in of_clients[number] if m.name in v]))
                    for m in by_client
                ),
            ]
        )
    clients = ["clients"] if differ else []
    heads = ["train loss", "train accuracy", "test loss", "test accuracy"]
    heads = heads if have_accuracy else heads[::2]
    heads += [*(f"test {m.title}" for m in scored), *(n.replace("_", " ") for n in of_validation)]
    return Table(rows, ["round", *clients, *heads, *(m.title for m in by_client)])
