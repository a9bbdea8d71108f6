"""What the columns of a table mean, by the keys of the scenario."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Optional, Union

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.identifiers import identifies, repeats
from pytest_federated.data.datasets.files.missing import Remedy
from pytest_federated.data.datasets.files.table_columns import TableColumns


def listed(label: Union[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns the names of the columns that a key names, which may be one."""
    return (label,) if isinstance(label, str) else tuple(label)


@dataclass(frozen=True)
class Meaning:
    """What the columns of a table mean, by the keys of the scenario."""

    label: Union[str, Sequence[str]]
    task: TaskKind
    client: Optional[str]
    features: Union[Sequence[str], Mapping[str, Sequence[str]], None]
    exclude: Optional[Sequence[str]]
    categories: Sequence[str]
    standardize: bool
    shape: Optional[Sequence[int]]
    missing: Optional[Remedy] = None

    @classmethod
    def of(cls, settings: Any) -> Meaning:
        """Returns what the columns mean by the validated settings of a table."""
        return cls(**{key.name: getattr(settings, key.name) for key in fields(cls)})

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of labels."""
        return listed(self.label)

    @property
    def inputs(self) -> Mapping[str, Sequence[str]]:
        """The columns of each input, by its name; empty where an example has one input."""
        return self.features if isinstance(self.features, Mapping) else {}

    @property
    def named_features(self) -> list[str]:
        """The columns that the scenario says to learn from, each once."""
        of_inputs = [name for columns in self.inputs.values() for name in columns]
        return list(dict.fromkeys(of_inputs if self.inputs else self.features or []))

    def misfits(
        self, columns: Sequence[str], where: str, is_text: bool
    ) -> Iterator[tuple[str, str]]:
        """Yields each key with a name that is wrong, given the names of the columns, and why.

        `is_text` is whether the scenario's keys say how columns are separated and named.
        """
        are_known = True
        for key, names in (
            ("label", self.labels),
            ("client", [self.client] if self.client else []),
            ("features", self.named_features),
            ("exclude", self.exclude or []),
            ("categories", self.categories),
        ):
            for name in names:
                message = shared.unknown_name(name, columns, key, where, "column")
                if message is None:
                    continue
                are_known = False
                if is_text and len(columns) == 1:
                    message = (
                        f"{where} has one column, {columns[0]!r}, and not {name!r} "
                        f"(data.dataset.{key}); data.dataset.separator is what separates columns"
                    )
                elif is_text and all(map(shared.is_number, columns)):
                    message = (
                        f"{where} has no column {name!r} (data.dataset.{key}), and its first line "
                        "is of numbers; data.dataset.columns names the columns of a file without "
                        "a header"
                    )
                yield key, message
        if are_known:
            yield from self._contradictions(columns, where)

    def _contradictions(self, columns: Sequence[str], where: str) -> Iterator[tuple[str, str]]:
        targets = [*self.labels, self.client]
        left_out = [*targets, *(self.exclude or [])]
        features = self.features_of(columns)
        for name in features:
            if name in left_out and name not in targets:
                yield "features", f"{where}: column {name!r} is both under features and exclude"
            if name in targets:
                yield (
                    "features",
                    f"{where}: column {name!r} is both under features and the label or the client",
                )
        for name in self.categories:
            if name not in features:
                yield (
                    "categories",
                    f"{where}: column {name!r} is under categories, not under features",
                )
        if not features:
            yield "exclude", f"{where} has no columns to learn from"
        if self.inputs and self.shape:
            yield "shape", "data.dataset.shape: is for one input; features names several"
        if self.inputs and self.task == "tokens":
            yield "features", "data.dataset.features: with task: tokens, there is one input"

    def features_of(self, columns: Sequence[str]) -> list[str]:
        """Returns the names of the columns to learn from, of these columns."""
        left_out = [*self.labels, self.client, *(self.exclude or [])]
        return self.named_features or [c for c in columns if c not in left_out]

    def learned_from(self, table: TableColumns, where: str) -> list[str]:
        """Checks all names in the scenario, and returns those of the columns to learn from."""
        names = list(table.values)
        for _, message in self.misfits(names, where, table.is_text):
            raise DataError(message)
        features = self.features_of(names)
        if not self.features:
            self._refuse_identifiers(table, features, where)
            self._refuse_labels(table, features, where)
        return features

    def _refuse_identifiers(self, table: TableColumns, features: Sequence[str], where: str) -> None:
        """Raises DataError if one of these columns looks like an identifier."""
        reasons: dict[str, str] = {}
        for name in features:
            reason = identifies(
                name,
                table.values[name],
                is_index=name in table.index,
                is_category=name in self.categories,
            )
            if reason:
                reasons[name] = reason
        if reasons:
            found = ", ".join(f"column {name!r} {reason}" for name, reason in reasons.items())
            raise DataError(
                f"{where}: {found}, so it looks like an identifier of the rows; "
                f"{self._advice(list(reasons))}"
            )

    def _refuse_labels(self, table: TableColumns, features: Sequence[str], where: str) -> None:
        """Raises DataError if one of these columns says the same as the label in every row."""
        if len(self.labels) != 1 or self.task == "tokens":
            return
        label, are_numbers = table.values[self.labels[0]], self.task == "regression"
        again = [
            name for name in features if repeats(table.values[name], label, are_numbers=are_numbers)
        ]
        if again:
            names = ", ".join(f"column {name!r}" for name in again)
            raise DataError(
                f"{where}: {names} says the same as the label {self.labels[0]!r} in every row; "
                f"{self._advice(again)}"
            )

    def _advice(self, names: Sequence[str]) -> str:
        """Returns what to write to leave these columns out, or to learn from them all the same."""
        line = json.dumps([*(self.exclude or []), *names], ensure_ascii=False)
        return (
            f"write data.dataset.exclude: {line} to leave it out, or list all columns to learn "
            "from under data.dataset.features"
        )
