"""What each seed came to."""

from __future__ import annotations

from typing import Optional

from pytest_federated.metrics.coverage import coverage
from pytest_federated.metrics.measure import Measure, columns, keys_in
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.metrics.statistics import deviation_of, mean_of
from pytest_federated.report.tables.cells import figure, named_figure
from pytest_federated.report.tables.clients import worst_clients, worst_clients_of
from pytest_federated.report.tables.table import EMPTY, Table, tables
from pytest_federated.results.record import Result


@tables("seeds", place=10)
def seed_table(result: Result) -> Table:
    """One row a seed, with mean and standard deviation below.

    The metrics with a column of their own, and those that something is expected of. What no seed
    has is left out, and so is a count that is nowhere more than 0.
    """
    measures = columns([result])
    by_title: dict[str, list[Optional[float]]] = {
        _heading(measure, result): measure.values(result) for measure in measures
    }
    clients = {_heading(m, result): worst_clients(result, m.name, m.keys(result)) for m in measures}
    titles = {measure.name: measure.title for measure in measures}
    counts = {_heading(measure, result) for measure in measures if measure.spec.scale == "count"}
    for verdict in result.verdicts:
        name = verdict.expectation
        if name in titles and not _has_other_keys(result, name):
            continue
        if len(verdict.figures) == len(result.histories):
            keys = keys_in(result, name)
            some = coverage(spec_of(name), result.histories, keys)
            title = _with(_judged_title(result, name), some)
            by_title.setdefault(title, list(verdict.figures))
            clients.setdefault(title, worst_clients(result, name, keys))
    shown = {
        title: column
        for title, column in by_title.items()
        if any(v or (v is not None and title not in counts) for v in column)
    }
    if not shown:
        return EMPTY
    rows = [
        [
            str(h.seed),
            *(
                named_figure(column[place], clients[title][place])
                for title, column in shown.items()
            ),
        ]
        for place, h in enumerate(result.histories)
    ]
    if len(rows) > 1:
        known = [[v for v in column if v is not None] for column in shown.values()]
        rows.append(["mean", *(figure(mean_of(column)) for column in known)])
        rows.append(["standard deviation", *(figure(deviation_of(c), 2) for c in known)])
    return Table(rows, ["seed", *shown])


def _heading(measure: Measure, result: Result) -> str:
    some = coverage(measure.spec, result.histories, measure.keys(result))
    return _with(measure.title, some)


def _with(title: str, some: str) -> str:
    return f"{title} ({some.removesuffix(' clients')})" if some else title


def _judged_title(result: Result, name: str) -> str:
    """What heads the column of an expectation; of predictions, with what they are judged over."""
    if over_last := keys_in(result, name).get("over_last"):
        return f"{spec_of(name).title or name}, mean of the last {over_last} rounds"
    over = keys_in(result, name).get("over")
    if spec_of(name).score is None or over is None:
        return name
    return f"{spec_of(name).title or name}, {over.replace('_', ' ')}"


def _has_other_keys(result: Result, name: str) -> bool:
    """Whether a scenario expects something of a metric with other keys than its defaults."""
    fields = metrics[name].params.model_fields
    keys = keys_in(result, name)
    return any(
        key in fields and not fields[key].is_required() and value != fields[key].default
        for key, value in keys.items()
    )


def seed_rows(result: Result) -> Table:
    """The values behind the means: one row a seed, one column an expectation.

    Empty where there is one seed, whose values are the means.
    """
    shown = [v for v in result.verdicts if len(v.figures) > 1]
    if not shown:
        return EMPTY
    clients = [worst_clients_of(result, verdict) for verdict in shown]
    rows = [
        [
            str(history.seed),
            *(named_figure(v.figures[place], names[place]) for v, names in zip(shown, clients)),
        ]
        for place, history in enumerate(result.histories)
    ]
    return Table(rows, ["seed", *(v.expectation for v in shown)])
