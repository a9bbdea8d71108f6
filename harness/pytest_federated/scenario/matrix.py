"""Grids of values: one scenario for each combination of a ``matrix``, or of what ``tune`` tries."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_federated.core.errors import Problem
from pytest_federated.core.grids import EXCLUDE, keys_of, varied_by
from pytest_federated.core.suggestions import suggest
from pytest_federated.scenario.source import Document, Key, Place, brief

# Limits, far above real use, of the size of a grid.
MAX_VARIANTS = 10_000
MAX_KEYS = 100
MAX_PLACES = 2_000_000  # lines to remember, of all variants together
MAX_EXCLUSIONS = 100

MATRIX, TUNED = ("matrix",), ("tune", "keys")  # where a document has a grid

# The keys of a scenario that cannot be varied.
_FIXED = (
    *("matrix", "tune", "name", "schema", "expect", "baseline", "comparison", "tags"),
    "description",
)
# Those that do not change what is to be learned, so that they can be chosen by how well it is.
_TUNABLE = ("model", "training", "clients.per_round")


class Variant(NamedTuple):
    """One combination of a grid.

    Attributes:
        name: its part of the id, such as ``alpha=0.1``; empty without a grid.
        document: the document with its values.
        values: by dotted key.

    """

    name: str
    document: Document
    values: Mapping[str, Any]


class _Axis(NamedTuple):
    """Keys that vary together: most often one. A row has a value for each of them."""

    keys: tuple[str, ...]
    rows: Sequence[Sequence[tuple[Any, Place]]]


class _Grid:
    """A grid as a document has it, and its problems."""

    def __init__(self, document: Document, at: Key) -> None:
        self.problems: list[Problem] = []
        self._document, self._at = document, at
        self._value = _value_at(document, at)

    def note(self, path: Key, message: str) -> None:
        """Notes a problem of what is at a path below the grid."""
        whole = (*self._at, *path)
        place = self._document.place(whole)
        self.problems.append(Problem(place.file, place.line, ".".join(map(str, whole)), message))

    def axes(self) -> list[_Axis]:
        """Returns the axes; what is returned where there are problems means nothing."""
        if not isinstance(self._value, Mapping) or not self._value:
            self.note(
                (), f"got {brief(self._value)}; must map keys, such as {self._example}, to lists"
            )
            return []
        lists = {key: values for key, values in self._value.items() if key != EXCLUDE}
        if len(lists) > MAX_KEYS:
            self.note((), f"got {len(lists):,} keys; allowed: at most {MAX_KEYS}")
            return []
        if not lists:
            self.note((), f"has nothing but {EXCLUDE}; must map keys to lists, too")
        axes = [self._axis(key, values) for key, values in lists.items()]
        if not self.problems:
            self._check_order([(name, key) for name, axis in zip(lists, axes) for key in axis.keys])
        return axes

    @property
    def _example(self) -> str:
        return "clients.count" if self._at == MATRIX else "training.client_optimizer.learning_rate"

    def _axis(self, name: Any, values: Any) -> _Axis:
        keys = keys_of(name) if isinstance(name, str) else ()
        if not keys or not all(all(key.split(".")) for key in keys):
            self.note(
                (name,),
                f"got the key {brief(name)}; must be a dotted key, such as {self._example}",
            )
        elif fixed := [key for key in keys if not self._can_vary(key)]:
            which = f"{fixed[0]}: " if len(keys) > 1 else ""
            self.note((name,), which + self._why_fixed)
        elif not isinstance(values, list) or not values:
            self.note((name,), f"got {brief(values)}; must be a list of values")
        else:
            rows = [self._row(name, keys, n, value) for n, value in enumerate(values)]
            return _Axis(keys, rows)
        return _Axis((), ())

    def _can_vary(self, key: str) -> bool:
        return is_variable(key) if self._at == MATRIX else is_tunable(key)

    @property
    def _why_fixed(self) -> str:
        if self._at == MATRIX:
            return "cannot be varied; allowed: keys of data, clients, model, training, seeds"
        return (
            "cannot be tuned, as it changes what is to be learned; allowed: keys of model and "
            "training, and clients.per_round"
        )

    def _row(
        self, name: str, keys: Sequence[str], number: int, value: Any
    ) -> Sequence[tuple[Any, Place]]:
        """Returns the values of a row, each with its place."""
        here = (*self._at, name, number)
        if len(keys) == 1:
            return [(value, self._document.place(here))]
        if not isinstance(value, list) or len(value) != len(keys):
            self.note(
                (name, number),
                f"got {brief(value)}; must be a list of {len(keys)} values, one for"
                f" each of {', '.join(keys)}",
            )
            return []
        return [(v, self._document.place((*here, n))) for n, v in enumerate(value)]

    def _check_order(self, keys: Sequence[tuple[str, str]]) -> None:
        """Notes keys that later ones replace; each is given with the name that it has there."""
        for position, (name, key) in enumerate(keys):
            for _, later in keys[position + 1 :]:
                if key == later:
                    self.note((name,), f"{key} varies twice")
                elif key.startswith(f"{later}."):
                    message = f"is replaced by {later}, which comes later; put that first"
                    self.note((name,), message if name == key else f"{key} {message}")

    def exclusions(self, axes: Sequence[_Axis]) -> list[dict[str, str]]:
        """Returns the combinations that are left out, with their values as in ids."""
        excluded = self._value.get(EXCLUDE, [])
        if not isinstance(excluded, list):
            self.note((EXCLUDE,), f"got {brief(excluded)}; must be a list of mappings")
            return []
        if len(excluded) > MAX_EXCLUSIONS:
            message = f"got {len(excluded):,} items; allowed: at most {MAX_EXCLUSIONS}"
            self.note((EXCLUDE,), message)
            return []
        known = [key for axis in axes for key in axis.keys]
        exclusions: list[dict[str, str]] = []
        for number, one in enumerate(excluded):
            if not isinstance(one, Mapping) or not one:
                message = f"got {brief(one)}; must map keys that vary to one value each"
                self.note((EXCLUDE, number), message)
            elif unknown := [key for key in one if key not in known]:
                message = f"does not vary; allowed: {', '.join(known)}"
                self.note((EXCLUDE, number, unknown[0]), message)
            else:
                exclusions.append({key: value_text(value) for key, value in one.items()})
        return exclusions


def expand(document: Document, at: Key = MATRIX) -> tuple[list[Variant], list[Problem]]:
    """Expands a grid of a document into one variant for each combination.

    Args:
        document: the document.
        at: where it has the grid: `MATRIX` or `TUNED`.

    Returns:
        The variants, in the order of the file with the last key varying fastest; and the problems
        of the grid. If there are any, there are no variants.

    """
    if _value_at(document, at) is _NOTHING:
        return [Variant("", document, {})], []
    grid = _Grid(document, at)
    axes = grid.axes()
    exclusions = [] if grid.problems else grid.exclusions(axes)
    if grid.problems:
        return [], grid.problems
    count = math.prod(len(axis.rows) for axis in axes)
    most = min(MAX_VARIANTS, MAX_PLACES // len(document.places))
    if count > most:
        message = f"makes {count:,} scenarios; allowed: at most {most:,}"
        if most < MAX_VARIANTS:
            message += " of one as long as this"
        grid.note((), message)
        return [], grid.problems
    variants = list(_variants(document.without("matrix"), axes, exclusions, grid))
    ids = Counter(variant.name for variant in variants)
    repeated = sorted(name for name, times in ids.items() if times > 1)
    if repeated:
        grid.note((), f"gives the same variant twice: {', '.join(repeated)}")
    return ([], grid.problems) if grid.problems else (variants, [])


_NOTHING = object()


def _value_at(document: Document, at: Key) -> Any:
    """Returns what a document has at a path; `_NOTHING` where it has nothing."""
    value: Any = document.data
    for key in at:
        value = value.get(key, _NOTHING) if isinstance(value, Mapping) else _NOTHING
    return value


def _variants(
    base: Document, axes: Sequence[_Axis], exclusions: Sequence[Mapping[str, str]], grid: _Grid
) -> Iterator[Variant]:
    """Yields the combinations that are not left out; notes exclusions that leave nothing out."""
    keys = [key for axis in axes for key in axis.keys]
    labels = short_keys(keys)
    unused = set(range(len(exclusions)))
    has_any = False
    for rows in itertools.product(*(axis.rows for axis in axes)):
        values = dict(zip(keys, itertools.chain.from_iterable(rows)))
        texts = {key: value_text(value) for key, (value, _) in values.items()}
        fitting = {n for n, one in enumerate(exclusions) if one.items() <= texts.items()}
        unused -= fitting
        if fitting:
            continue
        has_any = True
        name = ",".join(f"{label}={texts[key]}" for key, label in zip(keys, labels))
        filled = base.with_values({tuple(key.split(".")): at for key, at in values.items()})
        yield Variant(name, filled, {key: value for key, (value, _) in values.items()})
    for number in sorted(unused):
        grid.note((EXCLUDE, number), "leaves out no combination; write values as in the lists")
    if not has_any:
        grid.note((EXCLUDE,), "leaves out all combinations")


def is_variable(key: str) -> bool:
    """Returns whether a ``matrix`` may vary a dotted key."""
    return key.partition(".")[0] not in _FIXED


def is_tunable(key: str) -> bool:
    """Returns whether ``tune`` may try values of a dotted key."""
    return any(key == other or key.startswith(f"{other}.") for other in _TUNABLE)


def varied_keys(document: Document, *grids: Key) -> list[tuple[str, ...]]:
    """Returns the key paths that grids of a document vary, as far as it has them right."""
    values = [grid for at in grids if isinstance(grid := _value_at(document, at), Mapping)]
    return [tuple(key.split(".")) for grid in values for key in varied_by(grid)]


def varied_values(document: Document, at: Key) -> dict[tuple[str, ...], list[Any]]:
    """Returns the values that a grid of a document has of each key path, as far as it is right."""
    grid = _value_at(document, at)
    values: dict[tuple[str, ...], list[Any]] = {}
    for name in grid if isinstance(grid, Mapping) else ():
        rows = grid[name] if isinstance(grid[name], list) else []
        keys = keys_of(name) if isinstance(name, str) and name != EXCLUDE else ()
        for place, key in enumerate(keys):
            values[tuple(key.split("."))] = [
                row if len(keys) == 1 else row[place]
                for row in rows
                if len(keys) == 1 or (isinstance(row, list) and len(row) == len(keys))
            ]
    return values


def labels_in(variant: str) -> dict[str, str]:
    """Returns the labels of keys in a variant's part of an id, with their values.

    Commas in parentheses do not separate: ``algorithm=fedprox(mu=0.1,weighting=uniform),alpha=1``.
    """
    labels: dict[str, str] = {}
    depth, start = 0, 0
    for index, character in enumerate(f"{variant},"):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0 and index > start:
            label, _, value = variant[start:index].partition("=")
            labels[label.strip()] = value.strip()
            start = index + 1
    return labels


def with_these(part: str, variants: Iterable[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Returns the variants that have the values in a part of an id, such as ``alpha=0.1``."""
    values = labels_in(part).items()
    return [variant for variant in variants if values <= variant.items()]


def unknown_variant(part: str, variants: Sequence[Mapping[str, str]]) -> str:
    """Returns what is wrong with a part of an id that no variant has; empty if one has it."""
    if labels_in(part) and with_these(part, variants):
        return ""
    known = list(dict.fromkeys(f"{k}={v}" for one in variants for k, v in one.items()))
    return f"got {brief(part)}; {suggest(part, known)}"


def short_keys(keys: Sequence[str]) -> list[str]:
    """Returns the shortest suffixes of the dotted keys that tell them apart."""
    parts = [k.split(".") for k in keys]
    labels: list[str] = []
    for path in parts:
        size = next(
            n
            for n in range(1, len(path) + 1)
            if sum(p[-n:] == path[-n:] for p in parts) == 1 or n == len(path)
        )
        labels.append(".".join(path[-size:]))
    return labels


def value_text(value: Any) -> str:
    """Returns a value as part of an id."""
    if isinstance(value, Mapping):
        if set(value) == {"kind"}:
            return str(value["kind"])
        inner = ",".join(f"{k}={value_text(v)}" for k, v in value.items() if k != "kind")
        return f"{value['kind']}({inner})" if "kind" in value else f"({inner})"
    if isinstance(value, list):
        return "(" + ",".join(value_text(v) for v in value) + ")"
    return str(value).replace("[", "(").replace("]", ")")
