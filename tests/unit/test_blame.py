"""Where an error of a run is in the scenario's file."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest
from pytest_federated.core.errors import DataError, FederatedError, about
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import federate
from pytest_federated.scenario.blame import place_of_error
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.loader import load_file

pytestmark = pytest.mark.usefixtures("in_tmp_path")

FILE = """\
schema: 1
name: a
data:
  dataset: digits
clients:
  count: 4
  split: {kind: dirichlet, alpha: 1}
  attacks: {kind: label_flip, share: 0.5}
model:
  kind: mlp
  hidden: [4]
training:
  rounds: 2
  client_optimizer: {learning_rate: 0.1}
expect:
  accuracy: {at_least: 0.1}
matrix:
  clients.count:
    - 4
    - 5000
"""


def case(place: int = 0) -> Case:
    Path("a.yaml").write_text(FILE)
    return load_file(Path("a.yaml"))[place]


def error(message: str, choice: Optional[tuple[str, str]] = None) -> FederatedError:
    made = FederatedError(message)
    made.about = choice
    return made


@pytest.mark.parametrize(
    ("raised", "line", "words"),
    [
        (error("training.rounds: too few"), 13, "line 13"),
        (error("training.loss: a key that the file leaves out"), 12, "line 12"),
        (error("model: of the wrong width"), 9, "line 9"),
        (error("t.csv: no column y (data.dataset.label)"), 4, "line 4: data.dataset.label"),
        (error("too few examples", ("split", "dirichlet")), 7, "line 7: clients.split"),
        (error("needs images", ("model", "mlp")), 9, "line 9: model"),
        (error("no value", ("expectation", "accuracy")), 16, "line 16: expect.accuracy"),
        (
            error("lower clients.split.alpha", ("split", "dirichlet")),
            *(7, "line 7: clients.split.alpha"),
        ),
        (error("see data.dataset.label", ("model", "mlp")), 9, "line 9: model"),
        (error("of another scenario", ("split", "shards")), 1, "line 1"),
        (error("TFF is missing: install it"), 1, "line 1"),
    ],
)
def test_it_is_at_the_key_that_it_names_or_comes_from(
    raised: FederatedError, line: int, words: str
) -> None:
    assert place_of_error(raised, case()) == (line, words)


def test_a_value_of_a_variant_is_where_the_matrix_has_it() -> None:
    for place, line in ((0, 19), (1, 20)):
        assert place_of_error(error("clients.count: no"), case(place)) == (line, f"line {line}")


def test_a_key_of_the_defaults_is_in_their_file() -> None:
    Path("defaults.yaml").write_text("clients:\n  unseen: 0.5\n")
    found = place_of_error(error("clients.unseen: no"), case())
    assert found == (1, "defaults.yaml:2")


def test_a_file_that_has_changed_has_no_place() -> None:
    before = case()
    Path("a.yaml").write_text("schema: [")
    assert place_of_error(error("training.rounds: no"), before) == (1, "line 1")


def test_the_data_that_cannot_be_dealt_says_which_choice_it_is_of() -> None:
    scenario = case(1).scenario
    with pytest.raises(DataError) as raised:
        federate(scenario.data, scenario.clients, 0, Cache(Path()))
    assert place_of_error(raised.value, case(1)) == (7, "line 7: clients.split")


def test_the_innermost_choice_is_named() -> None:
    with pytest.raises(FederatedError) as raised, about("model", "mlp"), about("split", "iid"):
        raise FederatedError("x")
    assert raised.value.about == ("split", "iid")
