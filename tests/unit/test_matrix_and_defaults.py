"""How `matrix` turns one scenario into many, and what `defaults.yaml` adds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.loader import load_file
from pytest_federated.scenario.matrix import expand
from pytest_federated.scenario.source import Document, Place, read_documents
from scenario_texts import CLIENT_KEYS

SCENARIO = """\
schema: 1
name: tiny
data: {dataset: digits}
clients: {count: 4}
model: mlp
training: {rounds: 2}
"""
MATRIX_LINE = 7


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The root of a project, where the search for defaults ends."""
    (tmp_path / "pytest.ini").touch()
    return tmp_path


def ids(cases: list[Case]) -> list[str]:
    return [case.id for case in cases]


def settings(case: Case, key: str) -> Any:
    """The value at a dotted key of a scenario, with defaults written out."""
    value: Any = case.scenario.settings()
    for part in key.split("."):
        value = value[part]
    return value


def values(cases: list[Case], *keys: str) -> list[Any]:
    return [tuple(settings(case, key) for key in keys) for case in cases]


# The variants of a matrix


def test_without_a_matrix_there_is_one_case(load: Callable[..., list[Case]]) -> None:
    (case,) = load(SCENARIO)
    assert (case.id, case.variant, case.line) == ("tiny", "", 1)


def test_one_key_gives_one_variant_a_value(load: Callable[..., list[Case]]) -> None:
    text = SCENARIO.replace("count: 4", "count: 4, split: {kind: dirichlet, alpha: 9}")
    cases = load(text + "matrix: {clients.split.alpha: [0.1, 1, 1e-5]}\n")
    assert ids(cases) == ["tiny[alpha=0.1]", "tiny[alpha=1]", "tiny[alpha=1e-05]"]
    assert values(cases, "clients.split.alpha", "name") == [
        (0.1, "tiny"),
        (1, "tiny"),
        (1e-5, "tiny"),
    ]


def test_two_keys_give_all_combinations_with_the_last_varying_fastest(
    load: Callable[..., list[Case]],
) -> None:
    cases = load(SCENARIO + "matrix:\n  clients.count: [3, 5]\n  training.rounds: [7, 6]\n")
    assert ids(cases) == [
        "tiny[count=3,rounds=7]",
        "tiny[count=3,rounds=6]",
        "tiny[count=5,rounds=7]",
        "tiny[count=5,rounds=6]",
    ]
    assert values(cases, "clients.count", "training.rounds") == [(3, 7), (3, 6), (5, 7), (5, 6)]


def test_keys_with_the_same_last_part_are_named_in_full(load: Callable[..., list[Case]]) -> None:
    cases = load(
        SCENARIO + "matrix:\n"
        "  training.client_optimizer: [{kind: sgd, learning_rate: 1}]\n"
        "  training.client_optimizer.learning_rate: [0.1]\n"
        "  training.server_optimizer: [{kind: adam, learning_rate: 2}]\n"
        "  training.server_optimizer.learning_rate: [0.2]\n"
    )
    assert ids(cases) == [
        "tiny[client_optimizer=sgd(learning_rate=1),client_optimizer.learning_rate=0.1,"
        "server_optimizer=adam(learning_rate=2),server_optimizer.learning_rate=0.2]"
    ]
    assert values(
        cases,
        "training.client_optimizer.learning_rate",
        "training.server_optimizer.learning_rate",
        "training.server_optimizer.kind",
    ) == [(0.1, 0.2, "adam")]


def test_the_short_form_of_a_choice_takes_parameters(load: Callable[..., list[Case]]) -> None:
    text = SCENARIO.replace("count: 4", "count: 4, split: dirichlet")
    cases = load(text + "matrix: {clients.split.alpha: [0.1, 1]}\n")
    assert values(cases, "clients.split.kind", "clients.split.alpha") == [
        ("dirichlet", 0.1),
        ("dirichlet", 1),
    ]


def test_a_key_that_was_left_out_is_added(load: Callable[..., list[Case]]) -> None:
    cases = load(SCENARIO + "matrix: {clients.split.kind: [iid, shards], seeds: [[0], [1, 2]]}\n")
    assert ids(cases) == [
        "tiny[kind=iid,seeds=(0)]",
        "tiny[kind=iid,seeds=(1,2)]",
        "tiny[kind=shards,seeds=(0)]",
        "tiny[kind=shards,seeds=(1,2)]",
    ]
    assert values(cases[1:3], "clients.split.kind", "seeds") == [("iid", [1, 2]), ("shards", [0])]


def test_values_may_be_whole_choices(load: Callable[..., list[Case]]) -> None:
    cases = load(
        SCENARIO
        + "matrix:\n  clients.split: [iid, {kind: dirichlet, alpha: 0.1}, {kind: shards}]\n"
    )
    assert ids(cases) == [
        "tiny[split=iid]",
        "tiny[split=dirichlet(alpha=0.1)]",
        "tiny[split=shards]",
    ]
    assert values(cases, "clients.split.kind") == [("iid",), ("dirichlet",), ("shards",)]


def test_values_may_be_mappings_and_lists(load: Callable[..., list[Case]]) -> None:
    cases = load(
        SCENARIO + "matrix:\n"
        "  model: [{kind: mlp, hidden: [64, 32]}, {keras: 'm:f', args: {a: '[x]'}}]\n"
    )
    assert ids(cases) == ["tiny[model=mlp(hidden=(64,32))]", "tiny[model=(keras=m:f,args=(a=(x)))]"]
    assert settings(cases[0], "model.hidden") == [64, 32]
    assert settings(cases[1], "model.args") == {"a": "[x]"}


def test_a_variant_does_not_touch_its_neighbors(load: Callable[..., list[Case]]) -> None:
    """A value that is a mapping is copied before another key reaches into it."""
    cases = load(
        SCENARIO + "matrix:\n"
        "  clients.split: [{kind: dirichlet, alpha: 5}]\n"
        "  clients.split.min_examples: [2, 3]\n"
        "  clients.count: [4, 6]\n"
    )
    assert values(cases, "clients.split.min_examples", "clients.count") == [
        (2, 4),
        (2, 6),
        (3, 4),
        (3, 6),
    ]


def test_documents_each_have_their_matrix_and_line(load: Callable[..., list[Case]]) -> None:
    second = SCENARIO.replace("tiny", "second")
    cases = load(f"{SCENARIO}matrix: {{clients.count: [3, 4]}}\n---\n# a comment\n{second}")
    assert ids(cases) == ["tiny[count=3]", "tiny[count=4]", "second"]
    assert [case.line for case in cases] == [1, 1, 10]


# Keys that vary together, and combinations that are left out


def test_keys_with_a_comma_vary_together(load: Callable[..., list[Case]]) -> None:
    cases = load(
        SCENARIO + "matrix:\n"
        "  clients.count, training.client_optimizer.learning_rate: [[3, 0.1], [5, 1]]\n"
        "  training.rounds: [7, 6]\n"
    )
    assert ids(cases) == [
        "tiny[count=3,learning_rate=0.1,rounds=7]",
        "tiny[count=3,learning_rate=0.1,rounds=6]",
        "tiny[count=5,learning_rate=1,rounds=7]",
        "tiny[count=5,learning_rate=1,rounds=6]",
    ]
    keys = ("clients.count", "training.client_optimizer.learning_rate", "training.rounds")
    assert values(cases[1:3], *keys) == [(3, 0.1, 6), (5, 1, 7)]


def test_excluded_combinations_are_left_out(load: Callable[..., list[Case]]) -> None:
    cases = load(
        SCENARIO + "matrix:\n"
        "  clients.split: [iid, {kind: dirichlet, alpha: 1}]\n"
        "  clients.count: [3, 5]\n"
        "  exclude:\n"
        "    - {clients.split: {kind: dirichlet, alpha: 1}, clients.count: 3}\n"
        "    - {clients.split: iid, clients.count: 5}\n"
    )
    assert ids(cases) == ["tiny[split=iid,count=3]", "tiny[split=dirichlet(alpha=1),count=5]"]


@st.composite
def grids(draw: st.DrawFn) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """A grid of two keys that vary together and two others, and combinations to leave out."""
    numbers = st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True)
    together = st.tuples(st.integers(2, 5), st.integers(1, 5)).map(list)
    grid: dict[str, list[Any]] = {
        "clients.count, training.batch_size": draw(
            st.lists(together, min_size=1, max_size=3, unique_by=tuple)
        ),
        "training.rounds": draw(numbers),
        "training.local_epochs": draw(numbers),
    }
    excluded = st.fixed_dictionaries(
        {"training.rounds": st.sampled_from(grid["training.rounds"])},
        optional={
            "training.local_epochs": st.sampled_from(grid["training.local_epochs"]),
            "clients.count": st.sampled_from(
                [c for c, _ in grid["clients.count, training.batch_size"]]
            ),
        },
    )
    return grid, draw(st.lists(excluded, max_size=3))


@given(grids())
def test_a_grid_is_the_product_of_its_lists_without_what_is_excluded(
    grid: tuple[dict[str, list[Any]], list[dict[str, Any]]],
) -> None:
    lists, excluded = grid
    keys = ("clients.count", "training.batch_size", "training.rounds", "training.local_epochs")
    pairs, *others = lists.values()
    combinations = [
        dict(zip(keys, (*pair, *rest))) for pair, *rest in itertools.product(pairs, *others)
    ]
    wanted = [c for c in combinations if not any(one.items() <= c.items() for one in excluded)]
    document = Document({"matrix": {**lists, "exclude": excluded}}, {(): Place(Path("f"), 1)})
    variants, problems = expand(document)
    assert [variant.values for variant in variants] == (wanted if not problems else [])
    is_used = [any(one.items() <= c.items() for c in combinations) for one in excluded]
    assert bool(problems) == (not wanted or not all(is_used))


def test_a_key_of_a_choice_that_is_left_out_changes_the_default_choice(
    load: Callable[..., list[Case]],
) -> None:
    cases = load(SCENARIO + "matrix: {training.client_optimizer.momentum: [0, 0.9]}\n")
    keys = ("kind", "learning_rate", "momentum")
    dotted = [f"training.client_optimizer.{key}" for key in keys]
    assert values(cases, *dotted) == [("sgd", 0.1, 0), ("sgd", 0.1, 0.9)]


def test_a_key_of_a_choice_adds_to_the_choice_that_a_default_makes(
    folder: Path, load: Callable[..., list[Case]]
) -> None:
    (folder / "defaults.yaml").write_text(
        "training: {client_optimizer: {kind: adam, learning_rate: 3}}\n"
    )
    (case,) = load(SCENARIO + "matrix: {training.client_optimizer.learning_rate: [0.5]}\n")
    chosen = settings(case, "training.client_optimizer")
    assert (chosen["kind"], chosen["learning_rate"]) == ("adam", 0.5)


# Mistakes in a matrix


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (
            "'clients.count, training.rounds': [[3, 4], [5]]",
            "clients.count, training.rounds.1: got [5]; must be a list of 2 values, one for each of"
            " clients.count, training.rounds",
        ),
        (
            "'clients.count, training.rounds': [3]",
            "clients.count, training.rounds.0: got 3; must be a list of 2 values, one for each of "
            "clients.count, training.rounds",
        ),
        (
            "'clients.count,': [[3, 4]]",
            "clients.count,: got the key 'clients.count,'; must be a dotted key, such as "
            "clients.count",
        ),
        (
            "'clients.count, clients.count': [[3, 4]]",
            "clients.count, clients.count: clients.count varies twice",
        ),
        (
            "'clients.count, name': [[3, a]]",
            "clients.count, name: name: cannot be varied; allowed: keys of data, clients, model, "
            "training, seeds",
        ),
        (
            "'training.rounds, model.hidden': [[1, [3]]], model: [mlp]",
            "training.rounds, model.hidden: model.hidden is replaced by model, which comes later; "
            "put that first",
        ),
    ],
)
def test_mistakes_of_keys_that_vary_together_are_refused(
    problems: Callable[..., list[str]], matrix: str, said: str
) -> None:
    assert problems(SCENARIO + f"matrix: {{{matrix}}}\n") == [
        f"f.yaml:{MATRIX_LINE}: matrix.{said}"
    ]


@pytest.mark.parametrize(
    ("excluded", "said"),
    [
        ("5", ": got 5; must be a list of mappings"),
        ("[5]", ".0: got 5; must map keys that vary to one value each"),
        ("[{}]", ".0: got {}; must map keys that vary to one value each"),
        ("[{clients.coutn: 3}]", ".0.clients.coutn: does not vary; allowed: clients.count"),
        (
            "[{clients.count: 3}, {clients.count: 3}, {clients.count: 5}]",
            ".2: leaves out no combination; write values as in the lists",
        ),
        ("[{clients.count: 3}, {clients.count: 4}]", ": leaves out all combinations"),
        (f"[{'{clients.count: 3}, ' * 101}]", ": got 101 items; allowed: at most 100"),
    ],
)
def test_mistakes_in_what_is_excluded_are_refused(
    problems: Callable[..., list[str]], excluded: str, said: str
) -> None:
    matrix = f"matrix: {{clients.count: [3, 4], exclude: {excluded}}}\n"
    assert problems(SCENARIO + matrix) == [f"f.yaml:{MATRIX_LINE}: matrix.exclude{said}"]


def test_a_matrix_that_only_excludes_is_refused(problems: Callable[..., list[str]]) -> None:
    assert problems(SCENARIO + "matrix: {exclude: [{clients.count: 3}]}\n") == [
        f"f.yaml:{MATRIX_LINE}: matrix: has nothing but exclude; must map keys to lists, too"
    ]


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ("5", "matrix: got 5; must map keys, such as clients.count, to lists"),
        ("[]", "matrix: got []; must map keys, such as clients.count, to lists"),
        ("{}", "matrix: got {}; must map keys, such as clients.count, to lists"),
        ("{clients.count: 5}", "matrix.clients.count: got 5; must be a list of values"),
        ("{clients.count: []}", "matrix.clients.count: got []; must be a list of values"),
        (
            "{clients..count: [1]}",
            "matrix.clients..count: got the key 'clients..count'; must be a dotted key, such as "
            "clients.count",
        ),
        *(
            (
                f"{{{key}: [1]}}",
                f"matrix.{key}: cannot be varied; allowed: keys of data, clients, model, training, "
                "seeds",
            )
            for key in (
                "name",
                "schema",
                "tags",
                "description",
                "expect.accuracy.at_least",
                "matrix.clients.count",
            )
        ),
        ("{clients.count: [3, 3]}", "matrix: gives the same variant twice: count=3"),
        ("{clients.count: [3, '3']}", "matrix: gives the same variant twice: count=3"),
        (
            "{clients.zzz: [1, 2]}",
            f"clients.zzz: unknown key; allowed: {CLIENT_KEYS}",
        ),
        (
            "{clients.coutn: [1, 2]}",
            f"clients.coutn: unknown key; allowed: {CLIENT_KEYS}; did you mean 'count'?",
        ),
        pytest.param(
            "{5: [1]}",
            "matrix.5: got the key 5; must be a dotted key, such as clients.count",
        ),
    ],
)
def test_invalid_matrices_are_refused(
    problems: Callable[..., list[str]], matrix: str, said: str
) -> None:
    assert problems(SCENARIO + f"matrix: {matrix}\n") == [f"f.yaml:{MATRIX_LINE}: {said}"]


def test_an_invalid_value_is_shown_at_its_line(problems: Callable[..., list[str]]) -> None:
    matrix = "matrix:\n  clients.count:\n    - 3\n    - 0\n    - 5\n    - no\n"
    assert problems(SCENARIO + matrix) == [
        "f.yaml:10: clients.count: got 0; must be at least 1",
        "f.yaml:12: clients.count: got 'no'; must be an integer",
    ]


def test_an_invalid_mapping_is_shown_where_it_begins(problems: Callable[..., list[str]]) -> None:
    matrix = "matrix:\n  clients.split:\n    - iid\n    - kind: dirichlet\n      alpha: -1\n"
    assert problems(SCENARIO + matrix) == [
        "f.yaml:10: clients.split.alpha: got -1; must be greater than 0"
    ]


def test_an_invalid_value_of_all_variants_is_shown_once(problems: Callable[..., list[str]]) -> None:
    """Not once for each variant."""
    text = SCENARIO.replace("rounds: 2", "rounds: two")
    assert problems(text + "matrix: {clients.count: [3, 4, 5]}\n") == [
        "f.yaml:6: training.rounds: got 'two'; must be an integer"
    ]


def test_an_invalid_matrix_hides_no_other_mistake(problems: Callable[..., list[str]]) -> None:
    text = SCENARIO.replace("rounds: 2", "rounds: two")
    assert problems(text + "matrix: {clients.count: 3}\n") == [
        "f.yaml:6: training.rounds: got 'two'; must be an integer",
        "f.yaml:7: matrix.clients.count: got 3; must be a list of values",
    ]


def test_a_wrong_combination_is_refused(problems: Callable[..., list[str]]) -> None:
    text = SCENARIO.replace("count: 4", "count: 9, per_round: 4")
    assert problems(text + "matrix: {clients.count: [9, 3]}\n") == [
        "f.yaml:4: clients.per_round: got 4; there are 3 clients (clients.count)"
    ]


@pytest.mark.parametrize(
    ("matrix", "key"),
    [
        ("{clients.split.alpha: [0.1, 1]}", "clients.split"),
        ("{training.client_optimizer.beta_1: [0.1]}", "training.client_optimizer.beta_1"),
        ("{clients.count.x: [1]}", "clients.count"),
    ],
)
def test_a_value_without_its_choice_is_shown_in_the_matrix(
    problems: Callable[..., list[str]], matrix: str, key: str
) -> None:
    (said, *_) = problems(SCENARIO + f"matrix: {matrix}\n")
    assert said.startswith(f"f.yaml:{MATRIX_LINE}: {key}: ")


def test_a_matrix_does_not_hide_a_section_of_the_wrong_type(
    problems: Callable[..., list[str]],
) -> None:
    text = SCENARIO.replace("{count: 4}", "[4]")
    assert problems(text + "matrix: {clients.count: [1, 2]}\n") == [
        "f.yaml:4: clients: got [4]; must be a mapping"
    ]


def test_a_key_that_a_later_one_replaces_is_refused(problems: Callable[..., list[str]]) -> None:
    matrix = "matrix:\n  clients.split.min_examples: [1, 2]\n  clients.split: [iid]\n"
    assert problems(SCENARIO + matrix)


# defaults.yaml

NAMED = "name: tiny\n"
DEFAULTS = SCENARIO.replace(NAMED, "")


def test_defaults_supply_what_is_left_out(folder: Path, load: Callable[..., list[Case]]) -> None:
    (folder / "defaults.yaml").write_text(DEFAULTS)
    (with_defaults,) = load(NAMED)
    (folder / "defaults.yaml").unlink()
    (without,) = load(SCENARIO)
    assert with_defaults.scenario == without.scenario
    assert with_defaults.line == 1


def test_defaults_do_not_override(folder: Path, load: Callable[..., list[Case]]) -> None:
    (folder / "defaults.yaml").write_text(
        DEFAULTS.replace("rounds: 2", "rounds: 2, batch_size: 7") + "seeds: [1, 2]\ntags: [a]\n"
    )
    (case,) = load(NAMED + "training: {rounds: 5}\nseeds: [3]\ntags: []\n")
    assert values([case], "training.rounds", "training.batch_size", "seeds", "tags") == [
        (5, 7, [3], [])
    ]


@pytest.mark.parametrize(
    ("default", "own", "merged"),
    [
        (  # the same kind: filled in key by key
            "{kind: dirichlet, alpha: 1, min_examples: 3}",
            "{kind: dirichlet, alpha: 2}",
            {"kind": "dirichlet", "alpha": 2, "balance": False, "min_examples": 3},
        ),
        (  # no kind: the default's kind
            "{kind: dirichlet, alpha: 1, min_examples: 3}",
            "{alpha: 2}",
            {"kind": "dirichlet", "alpha": 2, "balance": False, "min_examples": 3},
        ),
        (  # another kind: taken whole
            "{kind: dirichlet, alpha: 1, min_examples: 3}",
            "{kind: iid}",
            {"kind": "iid", "min_examples": 1},
        ),
        (
            "{kind: dirichlet, alpha: 1, min_examples: 3}",
            "iid",
            {"kind": "iid", "min_examples": 1},
        ),
        ("shards", "{kind: iid}", {"kind": "iid", "min_examples": 1}),
        pytest.param(
            "dirichlet",
            "{alpha: 2}",
            {"kind": "dirichlet", "alpha": 2, "balance": False, "min_examples": 1},
        ),
    ],
)
def test_defaults_of_a_choice_are_merged_by_kind(
    folder: Path, load: Callable[..., list[Case]], default: str, own: str, merged: dict[str, Any]
) -> None:
    (folder / "defaults.yaml").write_text(
        DEFAULTS.replace("count: 4", f"count: 4, split: {default}")
    )
    (case,) = load(NAMED + f"clients: {{split: {own}}}\n")
    assert settings(case, "clients.split") == merged
    assert settings(case, "clients.count") == 4


def test_a_default_model_gives_way_to_another_kind(
    folder: Path, load: Callable[..., list[Case]]
) -> None:
    (folder / "defaults.yaml").write_text(
        DEFAULTS.replace("mlp", "{keras: 'm:f', args: {width: 3}}")
    )
    (case,) = load(NAMED + "model: {kind: mlp}\n")
    assert settings(case, "model.kind") == "mlp"


def test_a_default_model_gives_way_to_the_users_keras_model(
    folder: Path, load: Callable[..., list[Case]]
) -> None:
    (folder / "defaults.yaml").write_text(DEFAULTS.replace("mlp", "{kind: mlp, hidden: [64]}"))
    (case,) = load(NAMED + "model: {keras: 'm:f'}\n")
    assert settings(case, "model.kind") == "keras"


def test_expect_and_matrix_are_taken_whole(folder: Path, load: Callable[..., list[Case]]) -> None:
    (folder / "defaults.yaml").write_text(
        DEFAULTS + "expect: {loss: {at_most: 2}}\nmatrix: {clients.count: [3, 4]}\n"
    )
    assert ids(load(NAMED)) == ["tiny[count=3]", "tiny[count=4]"]
    assert settings(load(NAMED)[0], "expect") == {"loss": {"at_most": 2}}
    cases = load(NAMED + "expect: {accuracy: {at_least: 0.5}}\nmatrix: {training.rounds: [1, 3]}\n")
    assert ids(cases) == ["tiny[rounds=1]", "tiny[rounds=3]"]
    assert values(cases, "expect", "clients.count") == [({"accuracy": {"at_least": 0.5}}, 4)] * 2
    assert settings(load(NAMED + "expect: {}\n")[0], "expect") == {}


def test_each_document_gets_the_defaults(folder: Path, load: Callable[..., list[Case]]) -> None:
    (folder / "defaults.yaml").write_text(DEFAULTS)
    cases = load("name: one\nclients: {count: 9}\n---\nname: two\n")
    assert values(cases, "name", "clients.count") == [("one", 9), ("two", 4)]


# The folders above


def at(folder: Path, *parts: str) -> Path:
    path = folder.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_the_nearest_defaults_count_first(folder: Path) -> None:
    (folder / "defaults.yaml").write_text(
        DEFAULTS.replace("rounds: 2", "rounds: 2, batch_size: 7, local_epochs: 8")
    )
    # A folder without defaults in between does not end the search.
    below = at(folder, "a", "b")
    (below / "defaults.yaml").write_text("training: {rounds: 3, batch_size: 6}\n")
    (below / "f.yaml").write_text("name: tiny\ntraining: {rounds: 4}\n")
    (case,) = load_file(below / "f.yaml", folder)
    assert values([case], "training.rounds", "training.batch_size", "training.local_epochs") == [
        (4, 6, 8)
    ]


@pytest.mark.parametrize("marker", [".git", "pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg"])
def test_the_search_ends_at_the_root_of_the_project(tmp_path: Path, marker: str) -> None:
    (tmp_path / "defaults.yaml").write_text("seeds: [5]\n")
    project = at(tmp_path, "project")
    (project / marker).touch()
    (project / "defaults.yaml").write_text("training: {rounds: 3}\n")
    below = at(project, "scenarios")
    (below / "f.yaml").write_text(SCENARIO.replace("training: {rounds: 2}\n", ""))
    (case,) = load_file(below / "f.yaml", tmp_path)
    assert values([case], "training.rounds", "seeds") == [(3, [0])]


def test_defaults_next_to_or_below_the_folder_of_a_scenario_do_not_count(folder: Path) -> None:
    above = at(folder, "a")
    (above / "f.yaml").write_text(SCENARIO)
    for other in (at(folder, "b"), at(folder, "a", "c")):
        (other / "defaults.yaml").write_text("seeds: [5]\n")
    (case,) = load_file(above / "f.yaml", folder)
    assert settings(case, "seeds") == [0]


# Mistakes in defaults


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        (
            DEFAULTS.replace("count: 4", "count: 0"),
            "defaults.yaml:3: clients.count: got 0; must be at least 1",
        ),
        (
            DEFAULTS.replace("rounds: 2", "round: 2, rounds: 2"),
            "defaults.yaml:5: training.round: unknown key; ",
        ),
        (
            DEFAULTS + "matrix:\n  clients.count: [1,\n    0]\n",
            "defaults.yaml:8: clients.count: got 0; must be at least 1",
        ),
        (
            DEFAULTS + "matrix:\n  clients.count: 0\n",
            "defaults.yaml:7: matrix.clients.count: got 0; must be a list of values",
        ),
        (f"{DEFAULTS}---\n{DEFAULTS}", "defaults.yaml:7: defaults are one document only"),
        ("- a\n", "defaults.yaml:1: must be a mapping"),
        ("a: {\n", "defaults.yaml:2: not YAML"),
    ],
)
def test_a_mistake_in_defaults_is_shown_there(
    folder: Path, problems: Callable[..., list[str]], defaults: str, said: str
) -> None:
    (folder / "defaults.yaml").write_text(defaults)
    (found,) = problems(NAMED)
    assert found.startswith(said)


def test_a_mistake_in_a_file_with_defaults_is_shown_in_the_file(
    folder: Path, problems: Callable[..., list[str]]
) -> None:
    (folder / "defaults.yaml").write_text(DEFAULTS)
    assert problems(NAMED + "clients: {count: 0}\n") == [
        "f.yaml:2: clients.count: got 0; must be at least 1"
    ]


def test_a_default_that_is_overridden_may_be_wrong(
    folder: Path, load: Callable[..., list[Case]]
) -> None:
    """No scenario has the mistake."""
    (folder / "defaults.yaml").write_text(DEFAULTS.replace("count: 4", "count: 0"))
    (case,) = load(NAMED + "clients: {count: 3}\n")
    assert settings(case, "clients.count") == 3


def test_defaults_may_be_all_comments(folder: Path, load: Callable[..., list[Case]]) -> None:
    (folder / "defaults.yaml").write_text("# nothing in common yet\n")
    assert ids(load(SCENARIO)) == ["tiny"]


def test_files_of_a_folder_share_its_defaults_and_not_their_changes(tmp_path: Path) -> None:
    file = tmp_path / "defaults.yaml"
    file.write_text("training: {rounds: 3}\n", encoding="utf-8")
    (first,) = read_documents(file, file)
    first.data["training"]["rounds"] = 5
    first.places.clear()
    (second,) = read_documents(file, file)
    assert second.data == {"training": {"rounds": 3}}
    assert second.place(("training", "rounds")).line == 1
    file.write_text("training: {rounds: 4}\n", encoding="utf-8")
    assert read_documents(file, file)[0].data == {"training": {"rounds": 4}}
