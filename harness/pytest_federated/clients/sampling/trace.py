"""Sampling from the clients that are available according to a recorded trace."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional

import numpy as np
from pydantic import Field

from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.core.errors import DataError
from pytest_federated.data.population import Population
from pytest_federated.user.files import UserPath, find

_COLUMNS = ["client", "first_round", "last_round"]


def _glance(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields that the header is not that of a trace; see `Spec.glance`."""
    path = find(settings.trace, "clients.sampling.trace")
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            _check_header(next(csv.reader(file, skipinitialspace=True), []), path)
        except (DataError, csv.Error, UnicodeDecodeError) as error:
            yield "trace", str(error)


@samplers("trace", ignores_data=True, glance=_glance)
def trace(
    population: Population,
    size: int,
    round_number: int,
    rng: np.random.Generator,
    *,
    trace: UserPath,
    period: Annotated[
        Optional[int], Field(ge=1, description="Rounds after which the trace begins again.")
    ] = None,
) -> np.ndarray:
    """Draws from the clients that are available according to a CSV file.

    The file has the columns client, first_round, last_round: a client, by its name or its number
    from 0, is available in these rounds, including the last; it may have several rows. Of the
    available clients, `per_round` are drawn uniformly without replacement, or all if they are
    fewer. The file is looked for in the scenario's folder, and then where pytest runs.

    Source: Kairouz et al., Advances and Open Problems in Federated Learning, 2021, table 1
    ("client availability"), arXiv:1912.04977; Yang et al., Characterizing Impacts of Heterogeneity
    in Federated Learning upon Large-Scale Smartphone Data, WWW 2021, arXiv:2006.06983.

    Raises:
        DataError: there is no such file, or one of its rows is wrong.

    """
    path = find(trace, "clients.sampling.trace")
    times = _read(path, path.stat().st_mtime_ns, population)
    now = (round_number - 1) % period + 1 if period else round_number
    available = np.unique(times.clients[(times.firsts <= now) & (now <= times.lasts)])
    return rng.choice(available, min(size, len(available)), replace=False)


class _Times(NamedTuple):
    """The columns of a trace, int (rows,) each."""

    clients: np.ndarray
    firsts: np.ndarray
    lasts: np.ndarray


@functools.lru_cache(maxsize=8)
def _read(path: Path, changed: int, population: Population) -> _Times:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, skipinitialspace=True)
        try:
            _check_header(next(rows, []), path)
            times = [
                _row(row, population, f"{path.name}:{rows.line_num}")
                for row in rows
                if any(word.strip() for word in row) and row[0].strip() not in population.unseen
            ]
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path.name}:{rows.line_num + 1}: not a CSV file ({error})") from error
    return _Times(*np.array(times, np.int64).reshape(-1, 3).T)


def _check_header(words: list[str], path: Path) -> None:
    header = [word.strip() for word in words]
    if header != _COLUMNS:
        raise DataError(
            f"{path.name}:1: got columns {', '.join(header) or 'nothing'}; must be "
            f"{', '.join(_COLUMNS)}"
        )


def _row(row: list[str], population: Population, place: str) -> tuple[int, int, int]:
    words = [word.strip() for word in row]
    if len(words) != len(_COLUMNS):
        raise DataError(f"{place}: got {len(words)} columns; must be {', '.join(_COLUMNS)}")
    name, *rounds = words
    client = population.positions.get(name)
    if client is None and name.isdecimal() and int(name) < len(population):
        client = int(name)
    if client is None:
        raise DataError(
            f"{place}: client: got {name!r}; there are {len(population)} clients, by name "
            f"(such as {population.names[0]!r}), or by number 0 to {len(population) - 1}"
        )
    for column, word in zip(_COLUMNS[1:], rounds):
        if not word.isdecimal() or int(word) < 1:
            raise DataError(f"{place}: {column}: got {word!r}; rounds are whole numbers from 1")
    first, last = map(int, rounds)
    if last < first:
        raise DataError(f"{place}: last_round: got {last}; the first round is {first}")
    return client, first, last
