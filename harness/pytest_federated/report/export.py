"""Figures as a table for other tools: CSV, JSON or Parquet."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, Optional

from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import chosen_values
from pytest_federated.metrics.measure import columns, figures_of, headline
from pytest_federated.metrics.of_clients import metrics_of_clients
from pytest_federated.metrics.statistics import deviation_of, mean_of
from pytest_federated.report.tables.choices import choice_text
from pytest_federated.report.tuned import point_text
from pytest_federated.results.record import Result
from pytest_federated.scenario.matrix import value_text
from pytest_federated.training.history import ON_CLIENTS, ON_VALIDATION, Round, TrainingHistory

Row = dict[str, Any]
Rows = Callable[[Sequence[Result]], Iterator[Row]]

_PLAIN = (str, int, float, type(None))  # values that stay as they are; a bool is an int


def by_round(results: Sequence[Result]) -> Iterator[Row]:
    """Yields a row for each round of each seed."""
    rounds = [
        (result, history.seed, round_, metrics_of_clients(round_))
        for result in results
        for history in result.histories
        for round_ in history.rounds
    ]
    scored = sorted({name for _, _, round_, _ in rounds for name in round_.scores})
    absent = {n for n in ON_VALIDATION if all(getattr(r, n) is None for _, _, r, _ in rounds)}
    others = {"round", "scores", *ON_CLIENTS, *absent}
    own = [name for name in Round.model_fields if name not in others]
    of_clients = list(dict.fromkeys(name for *_, measured in rounds for name in measured))
    scenarios = _scenarios(results)
    for result, seed, round_, measured in rounds:
        yield {
            **scenarios[result.id],
            "seed": seed,
            "round": round_.round,
            **{name: getattr(round_, name) for name in own},
            **{name: round_.scores.get(name) for name in scored},
            **{name: measured.get(name) for name in of_clients},
        }


def by_seed(results: Sequence[Result]) -> Iterator[Row]:
    """Yields a row for each training."""
    scenarios, measures = _scenarios(results), columns(results)
    for result in results:
        values = {measure.name: measure.values(result) for measure in measures}
        for index, history in enumerate(result.histories):
            yield {
                **scenarios[result.id],
                "seed": history.seed,
                "diverged": history.diverged,
                **{name: of_seeds[index] for name, of_seeds in values.items()},
                **_clients(history),
            }


def by_client(results: Sequence[Result]) -> Iterator[Row]:
    """Yields a row for each measured client: after each round that measured it, or at the end."""
    histories = [history for result in results for history in result.histories]
    scored = sorted({name for h in histories for of in (h, *h.rounds) for name in of.client_scores})
    scenarios = _scenarios(results)
    for result in results:
        for history in result.histories:
            measured = [r for r in history.rounds if r.client_accuracy or r.client_scores]
            for round_, of in [(r.round, r) for r in measured] or [(len(history.rounds), history)]:
                count = max(map(len, (of.client_accuracy, *of.client_scores.values())), default=0)
                places = of.measured_clients or range(len(history.client_examples))
                # Older records may not say which clients they measured.
                for place, client in enumerate(places if len(places) == count else ()):
                    scores = {name: of.client_scores.get(name) for name in scored}
                    yield {
                        **scenarios[result.id],
                        "seed": history.seed,
                        "round": round_,
                        "client": history.client_name(client),
                        "train_examples": history.client_examples[client],
                        "accuracy": of.client_accuracy[place] if of.client_accuracy else None,
                        **{name: values and values[place] for name, values in scores.items()},
                    }


def by_scenario(results: Sequence[Result]) -> Iterator[Row]:
    """Yields a row for each scenario: means over seeds, the first metric with its interval."""
    first, scale = headline().name, headline().spec.values
    scenarios, measures = _scenarios(results), columns(results)
    for result in results:
        figures: Row = {}
        for measure in measures:
            values = measure.by_seed(result)
            figures[measure.name] = mean_of(values)
            if measure.name == first:
                is_finite = values and all(map(math.isfinite, values))
                summary = scale.summary(values) if is_finite else None
                figures[f"{first}_sd"] = deviation_of(values)
                figures[f"{first}_low"] = summary and summary.low
                figures[f"{first}_high"] = summary and summary.high
        clients = _clients(result.histories[0]) if result.histories else {}
        yield {**scenarios[result.id], "seeds": len(result.whole), **figures, **clients}


ROWS: dict[str, Rows] = {
    "round": by_round,
    "seed": by_seed,
    "client": by_client,
    "scenario": by_scenario,
}


def properties(result: Result) -> Row:
    """Returns what JUnit's XML says about a scenario: its status and its means over seeds.

    It also says what was chosen where a scenario was tuned.
    Metrics that were judged also have the ends of the 95 % interval. Missing figures are left out.
    """
    row: Row = {"status": result.status}
    if result.tuning and result.tuning.best:
        row["tuned"] = point_text(result.tuning, result.tuning.best)
    row |= {name: mean_of(values) for name, values in figures_of(result).items()}
    for verdict in result.verdicts:
        name = verdict.expectation
        row |= {name: verdict.measured, f"{name}_low": verdict.low, f"{name}_high": verdict.high}
    return {name: value for name, value in row.items() if value is not None}


def _scenarios(results: Sequence[Result]) -> dict[str, Row]:
    """Returns the columns of a row that are its scenario's, by id; also those of varied keys."""
    varied = {result.id: _varied(result) for result in results}
    keys = dict.fromkeys(key for values in varied.values() for key in values)
    return {
        result.id: {**_scenario(result), **{key: varied[result.id].get(key) for key in keys}}
        for result in results
    }


def _varied(result: Result) -> Row:
    """Returns the values of keys that a matrix varies or that are tuned, by dotted key."""
    values = {**result.matrix, **chosen_values(result)}
    return {k: v if isinstance(v, _PLAIN) else value_text(v) for k, v in values.items()}


def _scenario(result: Result) -> Row:
    from pytest_federated.data.datasets.dataset import datasets
    from pytest_federated.data.splits.partition import splits
    from pytest_federated.training.algorithms.algorithm import algorithms

    settings = result.settings
    return {
        "scenario": result.id,
        "status": result.status,
        "dataset": choice_text(datasets, settings["data"]["dataset"]),
        "split": choice_text(splits, settings["clients"]["split"]),
        "algorithm": choice_text(algorithms, settings["training"]["algorithm"]),
    }


def _clients(history: TrainingHistory) -> Row:
    measured = history.heterogeneity
    names = ("gini", "label_entropy", "jensen_shannon", "hellinger", "earth_mover")
    return {
        "clients": len(history.client_examples),
        **{name: getattr(measured, name) if measured else None for name in names},
    }


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """Returns comma-separated rows with a header; an empty field is a missing figure."""
    import csv

    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_bytes(rows: Sequence[Row]) -> bytes:
    """Returns a JSON list of objects; figures that are not finite are null, as JSON has no NaN."""
    plain = [{k: _finite(v) for k, v in row.items()} for row in rows]
    return (json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parquet_bytes(rows: Sequence[Row]) -> bytes:
    """Returns a Parquet file of one row group, with the figures' types as column types.

    Raises:
        FederatedError: pyarrow is not installed.

    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise FederatedError(
            "Parquet needs pyarrow: pip install 'pytest-federated[arrow]'"
        ) from None
    schema = _schema(rows, pyarrow)
    texts = {field.name for field in schema if field.type == pyarrow.string()}
    written = [
        {name: str(v) if name in texts and v is not None else v for name, v in row.items()}
        for row in rows
    ]
    table = pyarrow.Table.from_pylist(written, schema)
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


FORMATS: Mapping[str, Callable[[Sequence[Row]], bytes]] = {
    "csv": csv_bytes,
    "json": json_bytes,
    "parquet": parquet_bytes,
}


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _schema(rows: Sequence[Row], pyarrow: Any) -> Any:
    """Returns a schema from the values, as a column of only None would have no type."""

    def type_of(name: str) -> Any:
        kinds = {type(row.get(name)) for row in rows} - {type(None)}
        if kinds == {int}:
            return pyarrow.int64()
        if kinds == {bool}:
            return pyarrow.bool_()
        return pyarrow.string() if kinds & {str, bool} else pyarrow.float64()

    return pyarrow.schema([(name, type_of(name)) for name in _columns(rows)])


def _finite(value: Any) -> Optional[Any]:
    return None if isinstance(value, float) and not math.isfinite(value) else value
