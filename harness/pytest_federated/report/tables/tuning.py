"""The points of the grid of a scenario that is tuned."""

from __future__ import annotations

from pytest_federated.core.text import shortened
from pytest_federated.metrics.metric import spec_of
from pytest_federated.report.tables.cells import interval
from pytest_federated.report.tables.table import EMPTY, Table, tables
from pytest_federated.report.tuned import metric_title, not_told, points_in_order
from pytest_federated.results.record import Result
from pytest_federated.scenario.matrix import short_keys, value_text

_NOTE = 40  # characters of why a point could not be chosen


@tables("tuning", place=5)
def tuning_table(result: Result) -> Table:
    """One row a point, the best first: its values, the figure by which it was compared, and why it
    was not chosen where the figure does not say so.
    """
    tuning = result.tuning
    if tuning is None:
        return EMPTY
    ties, close, scale = tuning.ties, not_told(result), spec_of(tuning.metric).values
    rows: list[list[str]] = []
    for point in points_in_order(tuning):
        remark = shortened(point.note, _NOTE)
        if point is tuning.best:
            remark = "chosen"
        elif point in ties:
            remark = "equally good"
        elif point in close:
            remark = "not told from it"
        known = [value for value in point.figures if value is not None]
        measured = "–" if point.note else interval(known, scale)
        rows.append([*map(value_text, point.values.values()), measured, remark])
    return Table(rows, [*short_keys(tuning.keys), metric_title(tuning), "tuning"])
