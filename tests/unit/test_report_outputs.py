"""Other outputs of a report: a page, tables for other tools, blocks in documentation."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from example_results import example_result, of_one_training
from markdown_it import MarkdownIt
from pytest_federated.__main__ import main
from pytest_federated.expectations.baselines import baseline_of
from pytest_federated.expectations.bounds import Bounds, verdict_on
from pytest_federated.expectations.regression import compare_with_baseline
from pytest_federated.metrics.measure import headline
from pytest_federated.report.compare import comparison
from pytest_federated.report.export import ROWS, by_scenario, parquet_bytes
from pytest_federated.report.github import step_summary
from pytest_federated.report.html import page
from pytest_federated.report.markup import TERMINAL
from pytest_federated.report.pages import write_report
from pytest_federated.report.pictures import plots
from pytest_federated.report.plots.clients import accuracy_by_client
from pytest_federated.report.plots.curves import curves
from pytest_federated.report.plots.labels import labels_by_client
from pytest_federated.report.plots.plot import draw_overviews
from pytest_federated.report.plots.rounds import accuracy_by_round
from pytest_federated.report.plots.style import Picture
from pytest_federated.report.tables.compared import compared_rows
from pytest_federated.report.tables.verdicts import verdict_rows
from pytest_federated.report.update import updated
from pytest_federated.results.record import Result
from pytest_federated.results.runs import Run
from pytest_federated.results.store import read_results, write_result
from report_texts import whole_report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three records."""
    write_records(tmp_path / "reports")
    return tmp_path / "reports"


def write_records(folder: Path) -> None:
    for one in (
        example_result("m[alpha=0.1]", (0.5, 0.6)),
        example_result("m[alpha=10]", (0.8, 0.9), split={"kind": "dirichlet", "alpha": 10.0}),
        example_result("other[a=<b>]", (0.3, math.nan), status="failed"),
    ):
        write_result(one, folder)


# What all outputs have in common


def outputs(far: Result, near: Result) -> dict[str, str]:
    """Returns texts with the figures of two results, and with their comparison."""
    compared = compare_with_baseline(near, baseline_of(far))
    rows = [{k: str(v) for k, v in row.items()} for row in by_scenario([far, near])]
    intervals = [f"{r['accuracy']} ({r['accuracy_low']} to {r['accuracy_high']})" for r in rows]
    of_verdict = verdict_on("accuracy", [0.02, 0.9], Bounds(0.5))
    tables = [
        *compared_rows(near.model_copy(update={"compared": compared})),
        *verdict_rows(far.model_copy(update={"verdicts": (of_verdict,)})),
    ]
    runs = [Run("far", {"a": far}), Run("near", {"a": near})]
    return {
        "report": whole_report([far, near.model_copy(update={"id": "b"})]),
        "page": page([far, near.model_copy(update={"id": "b"})]),
        "step summary": step_summary([far, near]),
        "comparison": comparison(runs, headline(), TERMINAL),
        "export": "\n".join(intervals),
        "verdicts and baseline": "\n".join(" | ".join(row) for row in tables),
    }


def test_intervals_of_shares_lie_between_0_and_1() -> None:
    """Student's intervals of these two seeds reach from -5 to 6, of their difference to -11."""
    far = example_result("a", (0.02, 0.9), rounds=1)
    near = example_result("a", (0.9, 0.05), rounds=1)
    number = r"([-+]?\d[\d.]*(?:e-\d+)?)"
    for name, text in outputs(far, near).items():
        of_shares = [
            line for line in text.splitlines() if "loss" not in line and "examples" not in line
        ]
        ends = [pair for line in of_shares for pair in re.findall(f"{number} to {number}", line)]
        assert ends, name
        for low, high in ends:
            least = -1 if high.startswith("+") else 0  # only differences have a sign
            assert least <= float(low) <= float(high) <= 1, name


# Plots


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Returns the plots of those records, each an SVG."""
    folder = tmp_path_factory.mktemp("drawn")
    write_records(folder)
    return {name: picture.svg() for name, picture in pictures(folder).items()}


def pictures(folder: Path) -> dict[str, Picture]:
    """Returns all plots of the records, of single scenarios and of all of them."""
    results = read_results(folder)
    all_curves = curves(results)
    assert all_curves
    return {**plots(results), **draw_overviews(results), "curves": all_curves}


def test_plots_are_small_and_always_the_same_bytes(folder: Path, drawn: dict[str, str]) -> None:
    again = pictures(folder)
    assert drawn and drawn.keys() == again.keys()
    for name, svg in drawn.items():
        assert again[name].svg() == svg
        assert len(svg) < 15_000
        assert not re.search(r"20\d\d-\d\d|Matplotlib", svg)  # no time, no version


@pytest.mark.slow
def test_plots_are_the_same_whatever_style_the_user_has_set(
    folder: Path, drawn: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"axes.linewidth": 9, "xtick.labelsize": 20, "axes.grid": True, "figure.dpi": 30}
    settings: Any = matplotlib.rcParams
    for key, value in own.items():
        monkeypatch.setitem(settings, key, value)
    assert {name: picture.svg() for name, picture in pictures(folder).items()} == drawn
    assert {key: settings[key] for key in own} == own


def test_a_plot_is_an_svg_with_a_title_and_the_colors_of_the_scheme(
    folder: Path, drawn: dict[str, str]
) -> None:
    for name, picture in pictures(folder).items():
        svg = drawn[name]
        root = ElementTree.fromstring(svg)
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None and title.text == picture.alt
        assert root.attrib["role"] == "img"
        assert "prefers-color-scheme:dark" in svg
        assert "#010203" not in svg and "currentColor" in svg


def test_the_strip_of_clients_is_sorted() -> None:
    picture = accuracy_by_client(of_one_training(client_accuracy=(0.9, 0.1, 0.5)))
    assert picture and "0.100 at the worst client, 0.900 at the best, mean 0.500" in picture.alt
    root = ElementTree.fromstring(picture.svg())
    uses = [u.attrib for u in root.iter("{http://www.w3.org/2000/svg}use")]
    dots = [(float(u["x"]), float(u["y"])) for u in uses if "fill: #0072b2" in u.get("style", "")]
    assert len(dots) == 3
    assert [y for _, y in dots] == sorted((y for _, y in dots), reverse=True)  # y points down


def test_the_map_of_labels_has_a_pixel_for_each_client_and_label() -> None:
    import io

    import numpy as np
    from matplotlib.image import imread

    picture = labels_by_client(example_result())
    assert picture
    data = re.search(r"data:image/png;base64,\s*([^\"]+)\"", picture.svg())
    assert data
    opacity = imread(io.BytesIO(base64.b64decode(data[1])))[..., 3]
    assert np.allclose(opacity * 10, [[5, 5, 0], [0, 10, 10]], atol=0.02)


def test_the_legend_of_all_scenarios_is_beside_the_points() -> None:
    """Each data set has its own look, also where there are more of them than colors."""
    from matplotlib.figure import Figure

    one = example_result()
    named = {
        kind: one.model_copy(
            update={
                "id": kind,
                "settings": {**one.settings, "data": {"dataset": {"kind": kind}}},
            }
        )
        for kind in (f"set-{n}" for n in range(20))
    }
    (picture,) = draw_overviews(list(named.values())).values()
    axes = Figure().add_axes((0.1, 0.1, 0.7, 0.8))
    picture.draw(axes)
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 20


def test_what_a_record_does_not_have_has_no_plot() -> None:
    assert labels_by_client(of_one_training(label_counts=())) is None
    assert accuracy_by_client(of_one_training()) is None
    assert accuracy_by_round(of_one_training(rounds=())) is None


# Tables for other tools


def table_of(folder: Path, name: str, by: str) -> list[dict[str, Any]]:
    file = folder.parent / f"out.{name}"
    assert main(["report", str(folder), f"--{name}", str(file), "--by", by]) == 0
    if name == "csv":
        with file.open(encoding="utf-8", newline="") as lines:
            return [{k: v or None for k, v in row.items()} for row in csv.DictReader(lines)]
    if name == "json":
        return json.loads(file.read_text(encoding="utf-8"))
    parquet = pytest.importorskip("pyarrow.parquet")
    return parquet.read_table(file).to_pylist()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["csv", "json", "parquet"])
def test_exports_have_a_row_for_each_seed(folder: Path, name: str) -> None:
    rows = table_of(folder, name, "seed")
    assert [(row["scenario"], str(row["seed"])) for row in rows] == [
        *(("m[alpha=0.1]", "0"), ("m[alpha=0.1]", "1")),
        *(("m[alpha=10]", "0"), ("m[alpha=10]", "1")),
        *(("other[a=<b>]", "0"), ("other[a=<b>]", "1")),
    ]
    assert float(rows[2]["accuracy"]) == 0.8
    assert float(rows[2]["loss"]) == pytest.approx(0.2)
    assert rows[2]["epsilon"] is None
    assert rows[2]["split"] == "dirichlet (alpha 10)"
    assert rows[5]["accuracy"] is None or math.isnan(float(rows[5]["accuracy"]))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["csv", "json", "parquet"])
def test_exports_have_a_row_for_each_round_or_scenario(folder: Path, name: str) -> None:
    rounds = table_of(folder, name, "round")
    assert len(rounds) == 3 * 2 * 2
    assert float(rounds[0]["accuracy"]) == 0.25 and str(rounds[0]["round"]) == "1"
    scenarios = table_of(folder, name, "scenario")
    assert [float(row["accuracy"]) for row in scenarios[:2]] == pytest.approx([0.55, 0.85])
    assert float(scenarios[0]["accuracy_sd"]) == pytest.approx(0.1 / math.sqrt(2))
    # Student's interval of two figures, 12.706 times half their difference, exceeds [0, 1].
    assert [float(scenarios[0][f"accuracy_{end}"]) for end in ("low", "high")] == [0, 1]
    near = example_result("near", (0.50, 0.51))
    (row,) = by_scenario([near])
    assert row["accuracy_low"] == pytest.approx(0.505 - 12.7062 * 0.005, rel=1e-4)


def varied(name: str, matrix: dict[str, Any]) -> Result:
    return example_result(name).model_copy(update={"matrix": matrix})


@pytest.mark.parametrize("by", list(ROWS))
def test_exports_have_a_column_for_each_key_of_a_matrix(by: str) -> None:
    results = [
        varied("a[alpha=1]", {"clients.split.alpha": 1}),
        varied("a[alpha=0.5]", {"clients.split.alpha": 0.5}),
        varied("b[model=mlp(hidden=(3))]", {"model": {"kind": "mlp", "hidden": [3]}}),
        varied("c[seeds=(0)]", {"seeds": [0], "training.personalize": None, "x.y": True}),
        example_result("plain"),
    ]
    measured = [
        r.model_copy(
            update={
                "histories": tuple(
                    h.model_copy(update={"client_accuracy": (0.5, 0.5)}) for h in r.histories
                )
            }
        )
        for r in results
    ]
    rows = {row["scenario"]: row for row in ROWS[by](measured)}
    found = {n: (r["clients.split.alpha"], r["model"], r["x.y"]) for n, r in rows.items()}
    assert found == {
        "a[alpha=1]": (1, None, None),
        "a[alpha=0.5]": (0.5, None, None),
        "b[model=mlp(hidden=(3))]": (None, "mlp(hidden=(3))", None),
        "c[seeds=(0)]": (None, None, True),
        "plain": (None, None, None),
    }
    assert list(rows["plain"])[:6] == [
        *("scenario", "status", "dataset", "split", "algorithm", "clients.split.alpha")
    ]
    assert all(row["training.personalize"] is None for row in rows.values())
    assert not any("alpha" in name for row in ROWS[by](measured[4:]) for name in row)


def test_parquet_takes_keys_with_values_of_several_types() -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    results = [varied("a[x=1]", {"x": 1}), varied("a[x=b]", {"x": "b"}), varied("c", {"y": True})]
    table = parquet.read_table(io.BytesIO(parquet_bytes(list(by_scenario(results)))))
    assert table.column("x").to_pylist() == ["1", "b", None]
    assert table.column("y").to_pylist() == [None, None, True]


@pytest.mark.usefixtures("undrawn")
def test_parquet_without_pyarrow_is_refused_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["report", str(folder), "--parquet", str(folder / "a.parquet")]) == 1
    assert "pip install 'pytest-federated[arrow]'" in capsys.readouterr().err


# Blocks in documentation

ROW = "|    |    accuracy ± 95 % | scenario"

README = """# Ours

<!-- pytest-federated: summary m* -->
what was here
<!-- /pytest-federated -->

```markdown
<!-- pytest-federated: nonsense -->
```

<!-- pytest-federated: matrix m loss -->
<!-- /pytest-federated -->

<!-- pytest-federated: plot m[alpha=0.1] accuracy -->
<!-- /pytest-federated -->
Behind.
"""


@pytest.mark.usefixtures("undrawn")
def test_blocks_are_rewritten_and_the_rest_stays(folder: Path) -> None:
    file = folder.parent / "docs" / "README.md"
    file.parent.mkdir()
    file.write_text(README, encoding="utf-8")
    assert main(["report", str(folder), "--update", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert "what was here" not in text and "other" not in text
    assert text.startswith(f"# Ours\n\n<!-- pytest-federated: summary m* -->\n\n{ROW}")
    assert text.endswith("<!-- /pytest-federated -->\nBehind.\n")
    assert "```markdown\n<!-- pytest-federated: nonsense -->\n```" in text
    assert r"[m\[alpha=10\]](../reports/pages/scenarios.md#malpha10)" in text
    assert "(../reports/plots/m-alpha%3D0.1.accuracy.svg)" in text
    assert "| 10      | **0.150" in text  # the smallest loss is the best
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (file.parent / link.replace("%3D", "=")).is_file()
    assert main(["report", str(folder), "--update", str(file), "--check"]) == 0


@pytest.mark.usefixtures("undrawn")
def test_check_names_what_is_stale_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder.parent / "README.md"
    file.write_text(README, encoding="utf-8")
    arguments = ["report", str(folder), "--update", str(file)]
    assert main([*arguments, "--check"]) == 1
    said = capsys.readouterr().err
    assert "README.md" in said and "index.md" in said and "pages/scenarios.md" in said
    assert file.read_text(encoding="utf-8") == README
    assert not (folder / "index.md").exists()
    main(arguments)
    capsys.readouterr()
    write_result(example_result("m[alpha=0.1]", (0.1, 0.2)), folder)
    assert main([*arguments, "--check"]) == 1
    said = capsys.readouterr().err
    assert "README.md" in said and "m-alpha=0.1.accuracy.svg" in said
    assert "m-alpha=10.accuracy.svg" not in said


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "nothing to update; put <!-- pytest-federated: summary -->"),
        ("<!-- pytest-federated: summary -->\n", ":1: a block without its end"),
        (
            "\n<!-- pytest-federated: sumary -->\n<!-- /pytest-federated -->",
            ":2: got 'sumary'; no such block",
        ),
        (
            "<!-- pytest-federated: summary x* -->\n<!-- /pytest-federated -->",
            "no scenario is named x*",
        ),
        (
            "<!-- pytest-federated: matrix n -->\n<!-- /pytest-federated -->",
            ":1: matrix: no such matrix",
        ),
        (
            "<!-- pytest-federated: plot m -->\n<!-- /pytest-federated -->",
            "needs a scenario and one of",
        ),
        (
            "<!-- pytest-federated: plot x clients -->\n<!-- /pytest-federated -->",
            "x: no such scenario",
        ),
        (
            "<!-- pytest-federated: plot m[alpha=10] clients -->\n<!-- /pytest-federated -->",
            "the record of m[alpha=10] has nothing to plot of that",
        ),
    ],
)
def test_mistakes_in_blocks_are_reported(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder.parent / "page.md"
    file.write_text(text, encoding="utf-8")
    assert main(["report", str(folder), "--update", str(file)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(str(file)) and said in error
    assert file.read_text(encoding="utf-8") == text


B, E = "<!-- pytest-federated: summary m* -->", "<!-- /pytest-federated -->"


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{B}\nmine\n\n{B}\n{E}\n", ":1: a block without its end"),
        (f"{B}\n{E}\n\n{B}\nmine\n", ":4: a block without its end"),
        (f"{B}\n{E}\nmine\n{E}\n", ":4: the end of a block that does not begin"),
        (f"{B}\n<!-- end of pytest-federated -->\nmine\n{E}\n", ":1: a block without its end"),
        (f"{B}\n<!-- /pytest-federatd -->\nmine\n{E}\n", ":1: a block without its end"),
        (
            f"{B}\nmine <!-- /pytest-federated -->\nmine\n{E}\n",
            "line 2 has ... <!-- /pytest-federated --> ...",
        ),
        (f"{B}\nmine\n    {B}\n{E}\n", ":1: a block without its end"),
        (f"{B}\n```\n{E}\nmine\n```\n", ":1: a block without its end"),
        (
            f"{B}\n{E}\n<!-- pytest-federated summary -->\n",
            ":3: got <!-- pytest-federated summary -->",
        ),
        (
            f"{B}\n{E}\n<!-- Pytest-Federted: summary -->\n",
            ":3: got <!-- Pytest-Federted: summary -->",
        ),
        (f"{B}\n{E}\n{B} mine\n{E}\n", f":3: got {B} mine"),
        (f"{B}\n{E}\nmine {B}\n{E}\n", f":3: got ... {B} ..."),
        (f"{B}\n{E}\n> {B}\n> {E}\n", f":3: got > {B}"),
        (f"{B}\n{E}\n{B}{E}\n", f":3: got {B}{E}"),
        (f"{B}\n{E}\n<!-- pytest-federated: summary\n", ":3: got <!-- pytest-federated: summary"),
        (f"{B}\n{E}\n```markdown\n{B}\n{E}\n", ":3: code without its end, ```, hides a block"),
    ],
)
def test_text_outside_whole_blocks_is_never_lost(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """If one page is wrong, none is written."""
    right, wrong = folder.parent / "right.md", folder.parent / "wrong.md"
    right.write_text(README, encoding="utf-8")
    wrong.write_text(text, encoding="utf-8")
    assert main(["report", str(folder), "--update", str(right), str(wrong)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(str(wrong)) and said in error and len(error.splitlines()) == 1
    assert wrong.read_text(encoding="utf-8") == text
    assert right.read_text(encoding="utf-8") == README
    assert not (folder / "index.md").exists()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "text",
    [
        f"{B}\n{E}",
        f"mine\r\n{B}\r\nold\r\n{E}\r\nmine\r\n",
        f"\ufeffmine\x0c\u2028\n\n{B}\n{E}\nmine\x85 \n\n\n",
        f"- mine\n\n    {B}\n    {E}\n\n  mine\n",
        f"<details>\n{B}\n{E}\n</details>\n",
        f"~~~\n```\n{B}\n~~~\n{B}\nold\n{E}\n",
        f"1. a\n   ```\n   {B}\n   ```\n\n{B}\n{E}\n```\n{E}\n```\n",
        f"`{B}` and `{E}`\n<!-- mine -->\n\n        {E}\n\n{B}\n{E}\n",
        "<!--pytest-federated:summary m*-->\nold\n<!--/pytest-federated-->\nmine\n",
    ],
)
def test_everything_but_blocks_stays_byte_for_byte(folder: Path, text: str) -> None:
    file = folder.parent / "page.md"
    file.write_bytes(text.encode())
    arguments = ["report", str(folder), "--update", str(file)]
    assert main(arguments) == 0
    lines = file.read_bytes().decode().split("\n")
    ends = {line[-1:] == "\r" for line in lines[:-1]}
    assert ends == {"\r\n" in text}
    generated = re.compile(r"\s*(\||$)")  # a table, and the empty lines around it
    before = [line for line in text.replace("old", "").split("\n") if not generated.match(line)]
    assert [line for line in lines if not generated.match(line)] == before
    assert any(line.lstrip().startswith(ROW) for line in lines)
    assert text.endswith("\n") == (lines[-1] == "")
    assert main([*arguments, "--check"]) == 0


@pytest.mark.usefixtures("undrawn")
def test_a_page_behind_a_link_is_written_and_the_link_stays(folder: Path) -> None:
    page, link = folder.parent / "README.md", folder.parent / "index.md"
    page.write_text(README, encoding="utf-8")
    link.symlink_to(page.name)
    assert main(["report", str(folder), "--update", str(link)]) == 0
    assert link.is_symlink() and "what was here" not in page.read_text(encoding="utf-8")


# GitHub


def test_the_step_summary_has_all_scenarios_and_missed_expectations() -> None:
    results = [
        example_result("good"),
        example_result("bad[a=x|y]", status="failed", reason="too low"),
    ]
    text = step_summary(results)
    assert "**1 failed, 1 passed**" in text
    assert r"### bad\[a=x\|y\]: failed" in text and "too low" in text
    assert "](" not in text  # links would lead nowhere there
    assert len(text.encode()) < 1024 * 1024


def test_a_report_is_no_larger_than_needed(folder: Path) -> None:
    """The report's text has nothing of the records but what it shows."""
    text = whole_report(read_results(folder))
    assert len(text) < 4000 * 3
    assert os.fspath(folder) not in text


@pytest.mark.usefixtures("undrawn")
def test_the_report_is_written_with_its_plots(folder: Path) -> None:
    path = write_report(read_results(folder), folder)
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    assert sorted(links) == sorted(f"{p.parent.name}/{p.name}" for p in folder.rglob("*.svg"))


# Ours


@pytest.mark.slow
def test_our_documentation_is_current(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure message is the command to run before `git add`."""
    monkeypatch.chdir(committed)
    folder = Path("reports")
    results = read_results(folder)
    for page_of_ours in (Path("README.md"), Path("docs/reports.md")):
        text, shown = updated(page_of_ours, results, folder)
        assert all((folder / name).is_file() for name in shown)
        assert text == page_of_ours.read_text(encoding="utf-8"), (
            "uv run pytest-federated report reports/ --update README.md docs/reports.md"
        )


def test_our_comparison_renders(committed: Path) -> None:
    """As tables whose rows are as wide as their heads; what is best is told, and in bold."""
    text = (committed / "reports/comparison.md").read_text(encoding="utf-8")
    html = MarkdownIt("commonmark").enable("table").render(text)
    tables = html.partition("skew-by-algorithm</h2>")[2].split("<table>")[1:]
    rows = [
        [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[1:]]
        for table in tables
    ]
    assert all(len({len(row) for row in table}) == 1 for table in rows)
    results, *of_targets, _ = rows
    assert results[0][:3] == ["", "alpha", "algorithm"]
    assert [row[1] for row in results[1:]] == ["0.1"] * 3 + ["1"] * 3 + ["100"] * 3
    best = [row[:3] for row in results[1:] if "<strong>" in row[3]]
    assert best == [["▲ better", "0.1", "fedavgm"]]
    assert [table[0][2] for table in of_targets] == ["rounds to 0.8", "rounds to 0.9"]
    assert "*" not in re.sub("<[^>]*>", "", html)
