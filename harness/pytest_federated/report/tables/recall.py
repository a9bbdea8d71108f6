"""Recall of each label."""

from __future__ import annotations

import statistics

from pytest_federated.report.tables.choices import LISTED
from pytest_federated.report.tables.table import EMPTY, Table, tables
from pytest_federated.results.record import Result


@tables("recall", place=20)
def recall_table(result: Result) -> Table:
    """Recall of the final model by label, mean over seeds; of many labels, the worst."""
    by_label: dict[int, list[float]] = {}
    for history in result.whole:
        for label, recall in enumerate(history.class_recall):
            if recall is not None:
                by_label.setdefault(label, []).append(recall)
    means = {label: statistics.fmean(of) for label, of in sorted(by_label.items())}
    shown = list(means) if len(means) <= LISTED else sorted(means, key=means.__getitem__)[:LISTED]
    if not shown:
        return EMPTY
    what = "recall" if len(shown) == len(means) else f"recall, worst {len(shown)} of {len(means)}"
    row = [what, *(f"{means[label]:.3f}" for label in shown)]
    return Table([row], ["label", *map(result.histories[0].label_name, shown)])
