"""The table at a session's end: no wider than the terminal, and no two scenarios alike in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from example_results import example_result
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest_federated.core.text import distinct, one_line, shortened
from pytest_federated.plugin.summary import fitting_table
from pytest_federated.results.record import Result
from rich.cells import cell_len

VERDICTS = ("passed", "failed", "diverged", "skipped", "errored", "reported", "not judged")
NAMES = st.one_of(
    st.text("ab=[],.…1é漢", min_size=1, max_size=70),
    # Variants of one matrix, which differ at any place.
    st.builds(
        "digits-with-a-long-name[alpha={},learning_rate={},batch_size={}]".format,
        *[st.sampled_from([0.1, 0.01, 100])] * 3,
    ),
)
EXAMPLES = [example_result(split=split) for split in ("iid", {"kind": "dirichlet", "alpha": 0.1})]
SHORT = ["one", "two"]
LONG = [f"digits-dirichlet-strong[alpha={a},learning_rate={r}]" for a in (1, 10) for r in (1, 2)]


def results_of(names: Sequence[str], **more: Any) -> list[Result]:
    return [example_result(name, **more) for name in names]


def table(names: Sequence[str], width: int, **more: Any) -> list[str]:
    return ["".join(line) for line in fitting_table(results_of(names, **more), width)]


@given(st.lists(NAMES, min_size=1, max_size=12, unique_by=one_line), st.integers(3, 80))
def test_names_are_shortened_and_never_alike(names: list[str], width: int) -> None:
    labels = distinct(names, width)
    assert len(set(labels)) == len(names)
    for name, label in zip(names, labels):
        assert cell_len(label) <= width or label == one_line(name)
        if cell_len(one_line(name)) <= width:
            assert label == one_line(name)


def test_names_are_cut_where_they_do_not_differ() -> None:
    assert distinct(["only-one-long-name"], 9) == [shortened("only-one-long-name", 9)]
    assert distinct(["abcdef1uvwxyz", "abcdef2uvwxyz"], 9) == ["a…1uvwxyz", "a…2uvwxyz"]
    assert distinct(["abcdefghijkl-1", "abcdefghijkl-2"], 9) == ["abcd…kl-1", "abcd…kl-2"]
    whole = ["a-1-bbbbbbbbb-1-c", "a-1-bbbbbbbbb-2-c", "a-2-bbbbbbbbb-1-c"]
    assert distinct(whole, 5) == whole, "they cannot be told apart in five columns"


@given(
    st.lists(NAMES, min_size=1, max_size=8, unique_by=one_line),
    st.lists(st.sampled_from(VERDICTS), min_size=8, max_size=8),
    st.integers(40, 200),
    st.sampled_from(EXAMPLES),
)
def test_no_line_is_wider_than_the_terminal(
    names: list[str], verdicts: list[str], width: int, example: Result
) -> None:
    results = [
        example.model_copy(update={"id": name, "status": verdict})
        for name, verdict in zip(names, verdicts)
    ]
    lines = ["".join(line) for line in fitting_table(results, width)]
    assert len(lines) == 2 + len(names)
    verdict_width = max(len("verdict"), *(len(r.status) for r in results))
    fits = distinct(names, width - verdict_width - 2)
    assume(all(cell_len(label) <= width - verdict_width - 2 for label in fits))
    assert max(map(cell_len, lines)) <= width
    for line, verdict in zip(lines[2:], verdicts):
        assert line.startswith(f"{verdict} ")
    shown = {line[verdict_width:] for line in lines[2:]}
    assert len(shown) == len(names)


@pytest.mark.parametrize(
    ("names", "width", "columns"),
    [
        (SHORT, 40, ["verdict", "scenario", "accuracy ± 95 %"]),
        (SHORT, 80, ["verdict", "scenario", "accuracy ± 95 %", "seeds", "split", "algorithm"]),
        (LONG, 40, ["verdict", "scenario"]),
        (LONG, 80, ["verdict", "scenario", "accuracy ± 95 %"]),
        (LONG, 100, ["verdict", "scenario", "accuracy ± 95 %", "seeds", "split"]),
    ],
)
def test_the_most_important_columns_come_first(
    names: Sequence[str], width: int, columns: list[str]
) -> None:
    head, *_ = table(names, width)
    assert [c.strip() for c in head.split("  ") if c][: len(columns)] == columns


def test_empty_columns_are_left_out() -> None:
    head, *_ = table(SHORT, 300)
    assert "heterogeneity" in head and "rounds to target" not in head


def test_long_cells_are_shortened_and_never_alike() -> None:
    splits = [{"kind": "dirichlet", "alpha": 1 + a, "min_examples": 10**20} for a in (0.1, 0.2)]
    results = [example_result(f"s{place}", split=split) for place, split in enumerate(splits)]
    rows = ["".join(line) for line in fitting_table(results, 160)][2:]
    assert all("…" in row for row in rows)
    assert rows[0].replace("s0", "s1") != rows[1]


def test_names_stay_whole_in_a_file() -> None:
    lines = fitting_table(results_of(LONG), 40, shortens=False)
    assert [name in rest for name, (_, rest) in zip(LONG, lines[2:])] == [True] * 4
    assert "accuracy" in lines[0][1]
