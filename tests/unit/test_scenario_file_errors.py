"""Messages about scenario files that cannot be read, and about many mistakes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Union

import pytest
from pytest_federated.core.errors import ScenarioError
from pytest_federated.scenario.files import load_all
from scenario_texts import GOOD, clients, training

# Files


@pytest.mark.parametrize("text", ["\n\n", "# hello\n# there\n", "---\n", "---\n---\n"])
def test_a_file_without_documents_is_named(problems: Callable[..., list[str]], text: str) -> None:
    assert problems(text) == ["f.yaml: is empty; a scenario needs at least a name"]


def test_an_empty_file_is_named(problems: Callable[..., list[str]]) -> None:
    assert problems(f="") == ["f.yaml: is empty; a scenario needs at least a name"]


@pytest.mark.parametrize(
    ("text", "line"), [("- schema: 1\n", 1), ("hello\n", 1), ("5\n", 1), (f"{GOOD}---\n- a\n", 8)]
)
def test_a_document_that_is_no_mapping_is_named(
    problems: Callable[..., list[str]], text: str, line: int
) -> None:
    (said,) = problems(text)
    assert said.startswith(f"f.yaml:{line}: must be a mapping of keys, not a")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(GOOD.replace("count: 4}", "count: 4"), 5, id="an open brace"),
        pytest.param(GOOD.replace("data: {", "data:\n\tx: {"), 4, id="a tab"),
        pytest.param(GOOD + "description: a: b\n", 7, id="two colons"),
        pytest.param(GOOD + "description: *other\n", 7, id="an alias of nothing"),
        pytest.param(GOOD + "description: 'abc\n", 8, id="an open quote"),
    ],
)
def test_broken_yaml_is_named(problems: Callable[..., list[str]], text: str, line: int) -> None:
    (said,) = problems(text)
    assert said.startswith(f"f.yaml:{line}: not YAML: ")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [(GOOD + "name: other\n", 7, "name"), (clients("count: 5"), 4, "count")],
)
def test_a_duplicate_key_is_named(
    problems: Callable[..., list[str]], text: str, line: int, key: str
) -> None:
    (said,) = problems(text)
    assert said.startswith(f'f.yaml:{line}: not YAML: found duplicate key "{key}" with value ')


@pytest.mark.parametrize("text", [b"schema: 1\nname: caf\xe9\n", GOOD.encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_named(problems: Callable[..., list[str]], text: bytes) -> None:
    (said,) = problems(text)
    assert said.startswith("f.yaml: is not UTF-8: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as error:
        load_all([tmp_path / "gone.yaml"], tmp_path)
    assert str(error.value) == "gone.yaml: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD + "---\n", id="a trailing separator"),
        pytest.param(GOOD + "---\n# the end\n", id="a trailing separator and a comment"),
        pytest.param("---\n" + GOOD + "...\n", id="explicit ends"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte order mark"),
        pytest.param(GOOD + "expect: {}\n", id="no expectations"),
        pytest.param(
            training("client_optimizer: {kind: sgd, learning_rate: 1e-1}"),
            id="a number without a point",
        ),
    ],
)
def test_unusual_but_valid_files_are_read(
    problems: Callable[..., list[str]], text: Union[str, bytes]
) -> None:
    assert problems(text) == []


# Names in more than one place


def test_a_name_taken_in_the_same_file_is_refused(problems: Callable[..., list[str]]) -> None:
    assert problems(f"{GOOD}---\n{GOOD}") == ["f.yaml:9: name: got 'tiny'; taken in line 2"]


def test_a_name_taken_in_another_file_is_refused(
    problems: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "pytest.ini").touch()
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD)
    with pytest.raises(ScenarioError) as error:
        load_all([tmp_path], tmp_path)
    (problem,) = error.value.problems
    assert (problem.line, problem.key) == (1, "name")
    assert problem.message.startswith("got 'tiny'; taken in ")
    assert problem.message.endswith("a.yaml:1")


def test_a_name_taken_in_another_file_is_shown_with_paths_like_other_messages(
    problems: Callable[..., list[str]],
) -> None:
    assert problems(a=GOOD, b=GOOD) == ["b.yaml:1: name: got 'tiny'; taken in a.yaml:1"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "a.yaml").write_text(GOOD)
    assert len(load_all([tmp_path, tmp_path / "a.yaml"], tmp_path)) == 1


def test_a_file_named_by_two_paths_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "a.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert len(load_all([tmp_path, Path("a.yaml")], tmp_path)) == 1


# All at once

MANY = """\
name: a
data: {dataset: digit}
clients:
  count: 0
  split: {kind: dirichlet, alpha: -1}
model: mpl
training:
  rounds: two
  batch: 4
seeds: []
"""


def test_all_mistakes_of_a_file_are_shown_at_once_in_its_order(
    problems: Callable[..., list[str]],
) -> None:
    assert [p.partition(";")[0] for p in problems(MANY)] == [
        "f.yaml:1: schema: missing",
        "f.yaml:2: data.dataset: got 'digit'",
        "f.yaml:4: clients.count: got 0",
        "f.yaml:5: clients.split.alpha: got -1",
        "f.yaml:6: model: got 'mpl'",
        "f.yaml:8: training.rounds: got 'two'",
        "f.yaml:9: training.batch: unknown key",
        "f.yaml:10: seeds: got []",
    ]


def test_the_mistakes_of_all_documents_are_shown(problems: Callable[..., list[str]]) -> None:
    second = GOOD.replace("tiny", "second").replace("count: 4", "count: -4")
    third = GOOD.replace("tiny", "third").replace("mlp", "5")
    assert [p.partition(";")[0] for p in problems(f"{GOOD}---\n{second}---\n{third}")] == [
        "f.yaml:11: clients.count: got -4",
        "f.yaml:19: model: got 5",
    ]


def test_a_duplicate_name_hides_no_other_mistake(problems: Callable[..., list[str]]) -> None:
    second = GOOD.replace("count: 4", "count: 0")
    assert [p.partition(";")[0] for p in problems(f"{GOOD}---\n{second}")] == [
        "f.yaml:9: name: got 'tiny'",
        "f.yaml:11: clients.count: got 0",
    ]


def test_the_mistakes_of_all_files_are_shown(problems: Callable[..., list[str]]) -> None:
    said = problems(
        b=GOOD.replace("count: 4", "count: 0"), a=MANY, c="- no\n", d=GOOD.replace("tiny", "d")
    )
    assert [s.partition(":")[0] for s in said] == ["a.yaml"] * 8 + ["b.yaml", "c.yaml"]


# How values are shown


def test_long_values_are_cut(problems: Callable[..., list[str]]) -> None:
    (said,) = problems(GOOD.replace("count: 4", "count: " + "x" * 200))
    assert said == f"f.yaml:4: clients.count: got '{'x' * 56}...; must be an integer"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(training("eval_every: true"), "got true;", id="true"),
        pytest.param(GOOD.replace("count: 4", "split: "), "nothing", id="nothing"),
        pytest.param(GOOD.replace("tiny", "2024-01-01"), "got 2024-01-01;", id="a date"),
        pytest.param("- a\n", "a list", id="a list"),
        pytest.param("hello\n", "text", id="text"),
        pytest.param(GOOD + "5: 3\n", "unknown key", id="a number as key"),
    ],
)
def test_values_are_shown_in_the_words_of_yaml(
    problems: Callable[..., list[str]], text: str, shown: str
) -> None:
    (said,) = problems(text)
    assert shown in said
