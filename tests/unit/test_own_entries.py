"""What functions of a user's raise and return: one line each, with the place, for every concept."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import pytest_federated
from example_data import NO_CACHE, federation
from example_results import history
from pydantic.errors import PydanticSchemaGenerationError
from pytest_federated.clients.cohort import LocalWork, cohort_of_round
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError, FederatedError
from pytest_federated.data.federation import federate
from pytest_federated.data.schema import Data
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import judge
from pytest_federated.registry.concepts import concepts
from pytest_federated.registry.registry import Registry
from pytest_federated.training.schedules.schedule import factors, schedules

NAME = "own_entry_of_a_test"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Nothing that a test registers is there for the next one."""
    yield
    for registry in concepts().values():
        registry._entries.pop(NAME, None)
        registry._by_folder.pop(NAME, None)


def dealt(**clients: Any) -> None:
    federate(
        Data.model_validate({"dataset": "digits"}),
        Clients.model_validate({"count": 4, **clients}),
        0,
        NO_CACHE,
    ).examples(0)


def takes_part(**clients: Any) -> None:
    chosen = Clients.model_validate({"count": 2, **clients})
    data = federation([4, 4], 0)
    cohort_of_round(data, 2, 0, 1, LocalWork(2, 1), chosen.participation)
    assert isinstance(chosen.participation, Participation)


def read() -> None:
    data = Data.model_validate({"dataset": NAME})
    federate(data, Clients.model_validate({"count": 2}), 0, NO_CACHE)


def judged() -> None:
    section = expectations.parse({"kind": NAME, **({"at_least": 0} if NAME in metrics() else {})})
    judge({NAME: section}, [history([0.5])])


def metrics() -> list[str]:
    from pytest_federated.metrics.metric import metrics as registered

    return registered.names()


def scheduled() -> None:
    factors(schedules.parse(NAME), 3)


class Case:
    """A concept: its decorator, how an entry is used, and what is no proper result of it."""

    def __init__(self, decorator: Any, use: Callable[[], None], *wrong: tuple[Any, str]) -> None:
        self.decorator, self.use, self.wrong = decorator, use, wrong


CASES = {
    "data set": Case(
        pytest_federated.dataset,
        read,
        (None, "gave NoneType; it must give a Dataset"),
        ({"x": 1}, "gave dict; it must give a Dataset"),
    ),
    "split": Case(
        pytest_federated.split,
        lambda: dealt(split=NAME),
        (None, "gave object (), not one of the 4 clients"),
        (np.zeros(3, int), r"gave int64 (3,), not one of the 4 clients"),
    ),
    "size": Case(
        pytest_federated.size,
        lambda: dealt(split="iid", size=NAME),
        (None, "gave object (); it must give one number, 0 or greater, for each of 4 clients"),
        (["a"] * 4, "must give one number"),
        ([1, 2], "gave int64 (2,), not one number"),
        ([1, -2, 3, 4], "not one number, 0 or greater"),
    ),
    "shift": Case(
        lambda name: pytest_federated.shift(name, of="features"),
        lambda: dealt(split="iid", shift=[NAME]),
        (None, "gave object (); it must give numbers"),
        (np.zeros(3), "made (3,) of"),
    ),
    "sampling": Case(
        pytest_federated.sampler,
        lambda: takes_part(sampling=NAME),
        (None, "gave object (); it must give positions of clients"),
        ([0.5, 1.0], "gave float64 (2,); it must give positions of clients, whole numbers"),
        ([0, 7], "gave clients 0 to 7"),
        ([1, 1], "gave a client twice"),
    ),
    "dropout": Case(
        pytest_federated.dropout,
        lambda: takes_part(dropout=NAME),
        (None, "not one probability for each of 2 clients"),
        (["a", "b"], "not one probability"),
        ([0.5, 1.5], "not one probability"),
    ),
    "kind of straggler": Case(
        pytest_federated.straggler,
        lambda: takes_part(stragglers={"kind": NAME, "share": 1.0}),
        ([1.5, 1.5], "gave float64 (2,); it must give numbers of steps"),
        ([0, 9], "each must do at least one and at most all"),
    ),
    "attack": Case(
        pytest_federated.attack,
        lambda: takes_part(attacks={"kind": NAME, "share": 0.5}),
        (3.0, "gave 3.0; it must give an Attack"),
    ),
    "schedule": Case(
        pytest_federated.schedule,
        scheduled,
        (None, "gave NoneType; it must give a number, 0 or greater"),
        (-1.0, "gave -1.0; it must give a number, 0 or greater"),
        (float("nan"), "gave nan; it must give"),
        (float("inf"), "gave inf; it must give"),
    ),
    "metric": Case(
        pytest_federated.metric,
        judged,
        (None, "gave NoneType; it must give a number, or raise pytest_federated.NoValue"),
        ("0.5", "gave '0.5'; it must give a number"),
        (True, "gave True; it must give a number"),
        ([0.5], "gave list; it must give a number"),
    ),
    "expectation": Case(
        pytest_federated.expectation,
        judged,
        (None, "gave NoneType; it must give a Verdict"),
        (True, "gave True; it must give a Verdict"),
    ),
}
WRONG = [(name, value, line) for name, case in CASES.items() for value, line in case.wrong]


def refusal(concept: str) -> str:
    with pytest.raises(FederatedError) as raised:
        CASES[concept].use()
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("concept", CASES)
def test_what_a_function_of_the_users_raises_is_one_line_with_its_place(concept: str) -> None:
    @CASES[concept].decorator(NAME)
    def own(*args: Any) -> Any:
        return {}["missing"]

    line = refusal(concept)
    place = rf"\(line \d+ of {re.escape(str(Path(__file__)))}: return \{{\}}\[\"missing\"\]\)"
    assert re.fullmatch(f"the {concept} '{NAME}' raised KeyError: 'missing' {place}", line), line


@pytest.mark.parametrize(("concept", "value", "message"), WRONG, ids=str)
def test_what_a_function_of_the_users_returns_is_checked(
    concept: str, value: Any, message: str
) -> None:
    @CASES[concept].decorator(NAME)
    def own(*args: Any) -> Any:
        return value

    line = refusal(concept)
    assert f"'{NAME}' " in line and message in line, line


def test_a_metric_that_has_no_value_may_say_so() -> None:
    @pytest_federated.metric(NAME)
    def own(history: Any) -> float:
        raise pytest_federated.NoValue("never reached")

    section = expectations.parse({"kind": NAME, "at_least": 0})
    (verdict,) = judge({NAME: section}, [history([0.5])])
    assert not verdict.passed and "never reached in 1 of 1 seed(s)" in verdict.note


def test_a_data_set_whose_examples_cannot_be_read_is_one_line() -> None:
    @pytest_federated.dataset(NAME)
    def own(cache: Any) -> Any:
        def load(names: Any) -> Any:
            raise OSError("no such shelf")

        return pytest_federated.Dataset(NAME, 2, (), load)

    with pytest.raises(DataError) as raised:
        read()
    assert re.match(
        rf"the data set {NAME}: load raised OSError: no such shelf \(line \d+ of ",
        str(raised.value),
    )


def test_the_errors_of_our_own_entries_stay_what_they_are() -> None:
    anything: Any = Callable
    registry: Any = Registry("thing", anything, pytest_federated.split.spec)

    @registry("broken")
    def broken() -> None:
        raise ZeroDivisionError

    entry = registry["broken"]
    with pytest.raises(FederatedError, match="the thing 'broken' raised ZeroDivisionError"):
        entry.run()
    ours = entry.__class__(**{**vars(entry), "registered_in": Path(pytest_federated.__file__)})
    with pytest.raises(ZeroDivisionError):
        ours.run()


SHELF = """
from test_own_entries import while_imported

while_imported()
"""


def while_imported() -> None:
    """Is replaced by the test whose package calls it."""


def test_a_lookup_waits_for_the_discovery_in_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saw no entries at all while the package was being imported."""
    anything: Any = Callable
    spec = pytest_federated.split.spec
    registry: Any = Registry("thing", anything, spec, package="shelf_of_a_test")
    names: dict[str, list[str]] = {}

    def look_up(where: str) -> None:
        names[where] = registry.names()

    other = threading.Thread(target=look_up, args=["other"], daemon=True)

    def register() -> None:
        other.start()
        other.join(0.3)  # it may be done by now, but should be waiting
        look_up("module")  # the thread that imports does not wait for itself
        registry(NAME)(lambda: None)

    monkeypatch.setattr("test_own_entries.while_imported", register)
    (tmp_path / "shelf_of_a_test").mkdir()
    (tmp_path / "shelf_of_a_test" / "__init__.py").write_text(SHELF)
    monkeypatch.syspath_prepend(str(tmp_path))
    look_up("first")
    other.join(60)
    assert names == {"module": [], "first": [NAME], "other": [NAME]}


def test_what_entries_are_made_of_is_exported() -> None:
    """Every name of the examples of CONTRIBUTING.md is importable from the package itself."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    imported = re.findall(r"^from pytest_federated\.[\w.]+ import (.+)$", text, re.MULTILINE)
    names = {name for line in imported for name in line.split(", ")}
    types = {name for name in names if name[0].isupper()} | {"in_memory"}
    assert types <= set(pytest_federated.__all__)
    for name in pytest_federated.__all__:
        assert getattr(pytest_federated, name) is not None


def test_a_key_that_cannot_be_validated_fails_where_it_is_registered() -> None:
    class Opaque:
        pass

    def own(population: Any, rng: np.random.Generator, *, key: Any) -> np.ndarray:
        raise NotImplementedError

    own.__annotations__["key"] = Opaque
    with pytest.raises(PydanticSchemaGenerationError, match="Opaque"):
        pytest_federated.dropout(NAME)(own)
