"""Awkward records and reports: diverged runs, odd names, links, machines.

The report as a whole is compared with a golden one in test_report.py.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any, Optional

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pytest_federated.core.errors import FederatedError
from pytest_federated.core.files import write_text
from pytest_federated.report.pages import write_report
from pytest_federated.report.tables.summary import summary_row
from pytest_federated.results.record import Result, Verdict
from pytest_federated.results.store import read_results, write_result
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.history import Round, TrainingHistory
from report_texts import first_page, only_page, whole_report

NAN, INF = math.nan, math.inf


def history(seed: int, losses: list[float], diverged: Optional[str] = None) -> TrainingHistory:
    return TrainingHistory(
        seed=seed,
        rounds=tuple(
            Round(
                round=number,
                clients=2,
                held_examples=30,
                examples=30,
                train_loss=loss,
                train_accuracy=0.5,
                loss=loss,
                accuracy=0.5,
            )
            for number, loss in enumerate(losses, start=1)
        ),
        diverged=diverged,
        client_examples=(10, 20),
        test_examples=9,
    )


def result(
    name: str = "tiny",
    losses: tuple[list[float], ...] = ([1.0, 0.5],),
    description: str = "",
    model: Any = "mlp",
    **more: Any,
) -> Result:
    """A result whose histories, one for each seed, have these losses."""
    scenario = Scenario.model_validate(
        {
            "name": "tiny",
            "description": description,
            "data": {"dataset": "digits"},
            "clients": {"count": 2},
            "model": model,
            "training": {"rounds": 2},
            "seeds": list(range(len(losses))),
        }
    )
    return Result.model_validate(
        {
            "id": name,
            "settings": scenario.settings(),
            "status": "passed",
            "histories": [history(seed, of) for seed, of in enumerate(losses)],
            "versions": {"numpy": "1.25.2"},
            **more,
        }
    )


def diverged(losses: tuple[list[float], ...]) -> Result:
    return result(losses=losses, status="diverged", reason="seed 0 diverged in round 2")


# Records


def no_constants(found: str) -> None:
    raise AssertionError(f"{found} is not JSON")


@pytest.mark.parametrize("loss", [0.5, 1e-12, 1e30])
def test_a_record_is_json_and_is_read_back(tmp_path: Path, loss: float) -> None:
    one = result("tiny[alpha=0.1]", losses=([1.0, loss], [2.0, loss]))
    path = write_result(one, tmp_path)
    assert json.loads(path.read_text(), parse_constant=no_constants)["id"] == "tiny[alpha=0.1]"
    assert read_results(tmp_path) == [one]


@pytest.mark.parametrize("loss", [NAN, INF, -INF])
def test_the_record_of_a_diverged_training_is_json(tmp_path: Path, loss: float) -> None:
    path = write_result(diverged(([1.0, loss],)), tmp_path)
    json.loads(path.read_text(), parse_constant=no_constants)


@pytest.mark.parametrize("loss", [NAN, INF, -INF])
def test_the_record_of_a_diverged_training_is_read_back(tmp_path: Path, loss: float) -> None:
    write_result(diverged(([1.0, loss],)), tmp_path)
    (back,) = read_results(tmp_path)
    assert repr(back.histories[0].rounds[1].loss) == repr(loss)
    assert back.status == "diverged"


def test_figures_are_kept_to_six_digits() -> None:
    """Those that float32 holds; further ones are noise that would change committed records."""
    one = result(losses=([0.123456789, 1 / 3],))
    assert [r.loss for r in one.histories[0].rounds] == [0.123457, 0.333333]


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    one = result()
    again = one.model_copy(update={"settings": dict(reversed(one.settings.items()))})
    first = write_result(one, tmp_path / "one").read_bytes()
    assert write_result(again, tmp_path / "two").read_bytes() == first
    assert b"\r" not in first
    assert first.endswith(b"}\n")


def test_an_unchanged_record_is_not_written_again(tmp_path: Path) -> None:
    path = write_result(result(), tmp_path)
    os.utime(path, ns=(1, 1))
    inode = path.stat().st_ino
    assert write_result(result(), tmp_path) == path
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (1, inode)
    write_result(result(losses=([1.0, 0.25],)), tmp_path)
    assert path.stat().st_mtime_ns > 1
    assert [p.name for p in path.parent.iterdir()] == ["tiny.json"]


def test_a_written_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    """Temporary files are readable by their owner only."""
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "new", "text")
        write_text(tmp_path / "new", "other text")
    finally:
        os.umask(mask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o644


def test_no_two_scenarios_share_a_record(tmp_path: Path) -> None:
    ids = ["tiny[keras=a_b:c]", "tiny[keras=a:b_c]"]
    write_report([result(name) for name in ids], tmp_path)
    assert sorted(r.id for r in read_results(tmp_path)) == sorted(ids)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"record": 2, "id": "a", "settings": {}, "status": "passed"}', id="newer"),
        pytest.param(
            b"\xff\xfe",
            id="not UTF-8",
        ),
    ],
)
def test_a_file_that_is_no_record_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "a.json").write_bytes(text)
    with pytest.raises(FederatedError) as error:
        read_results(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/records/a.json: not a result record")
    assert "\n" not in str(error.value)


# The report, rendered


def tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def plain(inline: Token) -> str:
    """Returns what a reader sees of a heading, a cell or a paragraph."""
    return "".join(
        "\n" if child.type == "softbreak" else child.content
        for child in inline.children or ()
        if child.type != "html_inline"
    )


def texts(text: str, inside: str) -> list[str]:
    """Returns the rendered text of all headings (`h2`), cells (`td`), paragraphs (`p`), ..."""
    found = tokens(text)
    return [
        plain(inner)
        for opening, inner in zip(found, found[1:])
        if opening.tag == inside and opening.nesting == 1 and inner.type == "inline"
    ]


def rows(text: str) -> list[list[str]]:
    """Returns the rendered cells of every row of every table."""
    table: list[list[str]] = []
    for token, inner in zip(tokens(text), tokens(text)[1:]):
        if token.type == "tr_open":
            table.append([])
        elif token.type in ("td_open", "th_open"):
            table[-1].append(plain(inner))
    return table


def slugs(text: str) -> list[str]:
    """Returns the anchors that GitHub gives the headings, in order.

    Lower case, without punctuation, hyphens for spaces; repeated ones get a number.
    Source: https://docs.github.com/en/get-started/writing-on-github, "Section links".
    """
    anchors: list[str] = []
    seen: dict[str, int] = {}
    for level in ("h1", "h2"):
        for heading in texts(text, level):
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            anchors.append(f"{slug}-{seen[slug]}" if slug in seen else slug)
            seen[slug] = seen.get(slug, 0) + 1
    return anchors


def links(text: str) -> dict[str, str]:
    """Returns the targets of links by their text."""
    return {
        plain(inline).strip(): str(child.attrs["href"])
        for inline in tokens(text)
        if inline.type == "inline"
        for child in inline.children or ()
        if child.type == "link_open"
    }


ODD_IDS = [
    "two_words_here",
    "tiny[alpha=0.1]",
    "tiny[a=x|y]",
    "tiny[keras=my_models:build]",
    "tiny[split=shards(shards_per_client=3)]",
    "tiny[count=3,rounds=2]",
    pytest.param("a-_b_-c"),
    pytest.param("tiny[keras=_m:f_]"),
    pytest.param("tiny[a=<b>]"),
    pytest.param("tiny[a=*b*]"),
    pytest.param("tiny[a=`b`]"),
]


@pytest.mark.parametrize("name", ODD_IDS)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    text = only_page([result("first"), result(name)])
    assert name in texts(text, "h2")
    for page in (text, first_page([result("first"), result(name)])):
        assert name in [cell for row in rows(page) for cell in row]


@pytest.mark.parametrize("name", ODD_IDS)
def test_a_name_in_the_summary_leads_to_its_section(name: str) -> None:
    results = [result("first"), result(name)]
    text = only_page(results)
    headings = dict(zip(slugs(text), [*texts(text, "h1"), *texts(text, "h2")]))
    for page, file in ((text, ""), (first_page(results), "pages/scenarios.md")):
        target, _, fragment = links(page)[name].partition("#")
        assert target == file
        assert headings[fragment] == name


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param(["a[alpha=0.1]", "a[alpha=0.5]"], id="different"),
        pytest.param(
            ["a[alpha=1.0]", "a[alpha=10]"],
            id="the same except for a point",
        ),
        pytest.param(["scenarios"], id="as the title"),
        pytest.param(
            ["not-run"],
            id="as a section of the first page",
        ),
    ],
)
def test_every_section_can_be_reached_by_a_link(ids: list[str]) -> None:
    skipped = result("elsewhere", status="skipped", reason="no data", histories=())
    results = [*(result(name) for name in ids), skipped]
    text, index = only_page(results), links(first_page(results))
    headings = dict(zip(slugs(text), [*texts(text, "h1"), *texts(text, "h2")]))
    assert [headings[index[name].partition("#")[2]] for name in ids] == ids


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "name",
    [
        "tiny[alpha=0.1]",
        "tiny[count=3,rounds=2]",
        "two_words",
        pytest.param("tiny[hidden=(64,32)]"),
    ],
)
def test_the_link_to_a_record_leads_to_it(tmp_path: Path, name: str) -> None:
    write_report([result(name)], tmp_path)
    (record,) = (tmp_path / "records").iterdir()
    (page,) = (tmp_path / "pages").glob("*.md")
    target = links(page.read_text(encoding="utf-8"))[f"Record: {record.name}"]
    assert target.replace("%3D", "=").replace("%2C", ",") == f"../records/{record.name}"


@pytest.mark.parametrize("name", ["tiny", pytest.param("a|b")])
def test_skipped_scenarios_have_a_table_of_their_own(name: str) -> None:
    reason = "emnist_all is | not here <yet>"
    text = whole_report([result(name, status="skipped", reason=reason, histories=())])
    assert rows(text) == [["scenario", "reason"], [name, reason]]
    assert texts(text, "h2") == ["Not run"]


@pytest.mark.parametrize(
    "description",
    [
        "Plain words.",
        "a_b *c* `d` <e> [f](g) |h| \\i",
        "Two\nlines",
        *(
            pytest.param(odd)
            for odd in (
                "# no heading",
                "- no list",
                "1. no list",
                "+ no list",
                "&lt;",
                "---",
                "~~x~~",
            )
        ),
    ],
)
def test_a_description_is_shown_as_it_is(description: str) -> None:
    text = only_page([result(description=description)])
    shown = [line.replace("\n", " ") for line in texts(text, "p")]
    assert " ".join(description.split()) in shown
    assert len(texts(text, "h2")) == 1
    assert texts(text, "li") == []


def test_a_model_function_is_shown_as_it_is() -> None:
    model = {"keras": "_my.models_:_build_", "args": {"a": "x|y"}}
    text = only_page([result(model=model)])
    (shown,) = (row[1] for row in rows(text) if row[0] == "model")
    assert "_my.models_:_build_" in shown
    assert "x|y" in shown


# The report of a diverged training


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(([1.0, NAN],), id="the only seed"),
        pytest.param(
            ([1.0, 0.5], [1.0, NAN]),
            id="the second seed",
        ),
        pytest.param(
            ([1.0, 0.5], [1.0, INF]),
            id="the second seed, infinite",
        ),
    ],
)
def test_a_loss_that_is_not_finite_can_be_reported(losses: tuple[list[float], ...]) -> None:
    one = diverged(losses)
    assert summary_row(one)[-1] == "diverged"
    assert "**✗ diverged**" in first_page([one])


# What is not in a report


def test_a_report_says_nothing_about_the_machine_or_the_time(tmp_path: Path) -> None:
    verdict = Verdict(expectation="loss", expected="<= 1", measured=0.5, margin=0.5, passed=True)
    one = result(verdicts=(verdict,))
    folder = write_report([one], tmp_path / "here" / "and there").parent
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.parent.name for file in files} > {"records", "pages"}
    for file in files:
        text = file.read_text(encoding="utf-8")
        for secret in (str(tmp_path), str(Path.home()), os.uname().nodename, str(Path.cwd())):
            assert secret not in text
        assert not re.search(r"\d\d:\d\d|20\d\d-\d\d", text)


def test_a_report_of_nothing_but_skipped_scenarios_has_no_provenance() -> None:
    text = whole_report([result(status="skipped", reason="no data", histories=())])
    assert "Provenance" not in text
    assert text.startswith("# Federated scenarios\n\n**1 skipped**\n")
