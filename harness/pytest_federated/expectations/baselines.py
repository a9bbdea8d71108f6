"""Baselines: the figures of a run that was good, committed beside its scenario file.

A baseline is small, so that its diff can be read in a review: figures by seed, as exact as in a
record, what was trained, and with which versions. It has more seeds than a check begins with, so
that a check can take a second look. It is complete, or it is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.files import UnfitFileError, holds, read_bytes, write_text
from pytest_federated.core.schema import Figure, first_problem, rounded, without_empty
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.metrics.measure import Measure
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name, json_text
from pytest_federated.results.tuning import without_tuned

FOLDER = "baselines"
SEEDS = 10  # of a baseline at least
# What no training depends on; seeds are a baseline's own.
_APART = ("schema", "name", "description", "tags", "expect", "baseline", "comparison", "seeds")
_LARGEST_FILE = 10_000_000  # bytes, far above real use
LARGEST = 1e100  # figure: squares of what is larger are no floats


def always_measured(task: Optional[TaskKind] = None) -> list[str]:
    """The metrics that every training has which came to its end, whatever was expected of it.

    `task` is what it predicted; None stands for labels.
    """
    specs = {name: spec_of(name) for name in metrics.names()}
    task = task or "label"
    return [n for n, spec in specs.items() if spec.is_in_every_baseline and spec.is_for(task)]


def task_of(result: Result) -> Optional[Literal["binary", "regression"]]:
    """What was predicted, as the histories of a result say; None for most labels."""
    return next((history.task for history in result.histories), None)


def is_usable(figure: float) -> bool:
    """Whether a figure can be compared: finite, and not beyond what can be computed with."""
    return abs(figure) <= LARGEST


def _usable(figure: float) -> float:
    if not is_usable(figure):
        raise ValueError(f"got {figure}; must be a finite number")
    return figure


Usable = Annotated[Figure, AfterValidator(_usable)]


class Baseline(BaseModel):
    """What is kept of a run to compare others with.

    Attributes:
        baseline: version of this format.
        id: of the scenario, as in the record.
        seeds: of the trainings.
        figures: by name, one for each seed, in their order.
        keys: of those figures whose expectation has keys besides its bounds, such as a target:
            another target is another figure. Baselines older than these keys have none.
        task: what was predicted, as in a history; written only for tasks with one output.
        test_examples: size of the test set, the smallest of all seeds: accuracies come in steps of
            one divided by it.
        settings: the scenario, with defaults written out, but for what no training depends on, and
            for the values of keys that are tuned.
        tuned: what was chosen for these, by dotted key. Written only if there are any.
        versions: of the packages that the figures depend on.

    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    baseline: Literal[2]
    id: Annotated[str, Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    figures: dict[str, tuple[Usable, ...]]
    keys: dict[str, dict[str, Any]] = {}
    task: Optional[Literal["binary", "regression"]] = None
    test_examples: Annotated[int, Field(ge=1)]
    settings: dict[str, Any]
    tuned: dict[str, Any] = {}
    versions: dict[str, str]

    @model_validator(mode="after")
    def _is_complete(self) -> Baseline:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: the same one twice")
        for name in always_measured(self.task):
            if name not in self.figures:
                raise ValueError(f"figures: {name} is missing")
        for name, figures in self.figures.items():
            if len(figures) != len(self.seeds):
                raise ValueError(
                    f"figures: {name} has {len(figures)} for {len(self.seeds)} seed(s)"
                )
        if lonely := self.keys.keys() - self.figures.keys():
            raise ValueError(f"keys: {min(lonely)} is no figure")
        return self

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "keys", "task", "tuned")


def figures_of(result: Result, *, without: Collection[str] = ()) -> dict[str, tuple[float, ...]]:
    """The figures of a result, by name: those of every baseline, and those behind its verdicts.

    Each is rounded as in a baseline, and has as many values as there are trainings, in their order;
    it has fewer where some training has no such figure, which may also be NaN.

    Args:
        result: the result.
        without: names to leave out.

    """
    figures: dict[str, tuple[Optional[float], ...]] = {}
    for name in always_measured(task_of(result)):
        measure = Measure(name)
        figures[name] = tuple(measure.of(history) for history in result.histories)
    figures |= {v.expectation: v.figures for v in result.verdicts}
    return {
        name: tuple(rounded(value) for value in values if value is not None)
        for name, values in figures.items()
        if name not in without
    }


def baseline_of(
    result: Result,
    *,
    without: Collection[str] = (),
    keys: Optional[Mapping[str, Mapping[str, Any]]] = None,
) -> Baseline:
    """The baseline that a result gives, with its `figures_of`.

    Args:
        result: the result.
        without: names of figures to leave out.
        keys: see `Baseline`; those of other figures are left out.

    Raises:
        FederatedError: a figure is missing or not finite, so that it would not be complete.

    """
    figures = figures_of(result, without=without)
    always = always_measured(task_of(result))
    figures = {name: values for name, values in figures.items() if name in always or values}
    try:
        return Baseline(
            baseline=2,
            id=result.id,
            seeds=result.seeds,
            figures=figures,
            keys={name: dict(of) for name, of in (keys or {}).items() if name in figures},
            task=task_of(result),
            test_examples=min((h.test_examples for h in result.histories), default=0),
            settings=trained_settings(result.settings),
            tuned=chosen_values(result),
            versions=result.versions,
        )
    except ValidationError as problems:
        raise FederatedError(
            f"{result.id}: gives no baseline ({first_problem(problems)})"
        ) from None


def trained_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a scenario's settings, those that its trainings depend on.

    Where it is tuned, its grid is among them, and not what was chosen.
    """
    rest = without_tuned(settings)
    return {key: value for key, value in rest.items() if key not in _APART}


def chosen_values(result: Result) -> dict[str, Any]:
    """What was chosen where a scenario is tuned, by dotted key; empty where it is not."""
    best = result.tuning.best if result.tuning else None
    return dict(best.values) if best else {}


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Dotted keys whose values differ, in order, as ``training.rounds was 15, is 20``."""
    one, two = dict(_flat(before, "")), dict(_flat(now, ""))
    return [
        f"{key} was {_plain(one, key)}, is {_plain(two, key)}"
        for key in sorted({**one, **two})
        if one.get(key) != two.get(key) or (key in one) != (key in two)
    ]


def _flat(value: Mapping[str, Any], above: str) -> Any:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(cast("Mapping[str, Any]", inner), f"{above}{key}.")
        else:
            yield f"{above}{key}", inner


def _plain(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "not there"
    return "null" if flat[key] is None else str(flat[key])


def baseline_file(beside: Path, result_id: str) -> Path:
    """Where the baseline of a scenario is kept: in a folder beside its file."""
    return beside.parent / FOLDER / file_name(result_id)


def short_name(path: Path) -> str:
    """A baseline's file as messages name it: the same on all machines, as they get into records."""
    return f"{path.parent.name}/{path.name}"


_NO_FOLDER = f"{FOLDER}: not a folder; move it, as baselines are kept in a folder of that name"


def write_baseline(baseline: Baseline, path: Path) -> bool:
    """Writes a baseline, whatever the file holds; returns whether that changed the file.

    Raises:
        FederatedError: it cannot be written.

    """
    text = json_text(baseline)
    try:
        if holds(path, text.encode()):
            return False
        write_text(path, text)
    except (FileExistsError, NotADirectoryError):
        raise FederatedError(_NO_FOLDER) from None
    except OSError as error:
        raise FederatedError(f"{short_name(path)}: cannot be written: {error.strerror}") from None
    return True


def read_baseline(path: Path) -> Optional[Baseline]:
    """The baseline in a file; None where there is no such file.

    Raises:
        FederatedError: it cannot be read, or is not a baseline, or not a complete one.

    """
    try:
        text = read_bytes(path, _LARGEST_FILE)
    except FileNotFoundError:
        return None
    except UnfitFileError as error:
        raise FederatedError(
            f"{short_name(path)}: cannot be read: {error.strerror}; remove it, and "
            "--fed-baseline=update rewrites it"
        ) from None
    except NotADirectoryError:
        raise FederatedError(_NO_FOLDER) from None
    except OSError as error:
        raise FederatedError(
            f"{short_name(path)}: cannot be read: {error.strerror}; make it readable, or remove "
            "it, and --fed-baseline=update rewrites it"
        ) from None
    try:
        return Baseline.model_validate_json(text)
    except ValidationError as problems:
        raise FederatedError(
            f"{short_name(path)}: not a baseline; --fed-baseline=update rewrites it "
            f"({first_problem(problems)})"
        ) from None
