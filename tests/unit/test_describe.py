"""`pytest-federated describe`: the table, the map, the picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError
from pytest_federated.report.plots.labels import label_map
from scenario_texts import TINY


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.scenario.yaml"
    path.write_text(
        TINY.replace(
            "{count: 4}", "{count: 4, split: {kind: labels_per_client, labels: 1}, size: null}"
        )
    )
    return path


def test_describe_shows_figures_and_a_map(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(file)]) == 0
    shown = capsys.readouterr().out
    figures = dict(re.findall(r"^(\S.*?)  +(\S.*)$", shown, flags=re.MULTILINE))
    assert shown.startswith("tiny, seed 0\n")
    assert figures["clients"] == "4" and figures["test examples"] == "359"
    assert figures["label entropy"] == "0 of 1.39 nats"  # ln 4: each has a label of its own
    assert figures["Jensen-Shannon distance"] == figures["Hellinger distance"] == "1"
    assert int(figures["examples of no client"]) == pytest.approx(1438 * 0.6, abs=10)
    rows = re.findall(r"^client-(\d)  (.{20})  +(\d+)$", shown, flags=re.MULTILINE)
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    for client, cells, _ in rows:  # client i has label i
        assert [i for i in range(10) if cells[2 * i] != " "] == [int(client)]


def test_the_seed_may_be_chosen(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TINY.replace("{count: 4}", "{count: 4, split: {kind: dirichlet, alpha: 1}}"))
    shown = []
    for seed in ("0", "1", "1"):
        assert main(["describe", str(file), "--seed", seed]) == 0
        shown.append(capsys.readouterr().out.partition("\n")[2])
    assert shown[0] != shown[1] == shown[2]


def test_many_clients_are_shown_in_part(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TINY.replace("count: 4", "count: 200"))
    assert main(["describe", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "40 of 200 clients" in shown
    assert "client-0 " in shown and "client-199" in shown


def test_describe_draws_the_same_picture_again(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, png = tmp_path / "one.svg", tmp_path / "two.svg", tmp_path / "three.png"
    for path in (one, two, png):
        assert main(["describe", str(file), "--out", str(path)]) == 0
        assert f"picture: {path}" in capsys.readouterr().out.replace("\n", "")
    assert ET.parse(one).getroot().tag.endswith("svg")
    assert one.read_bytes() == two.read_bytes()
    assert png.read_bytes().startswith(b"\x89PNG")


def test_several_scenarios_have_a_picture_each(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(TINY + "matrix: {clients.count: [2, 3]}\n")
    assert main(["describe", str(file), "--out", str(tmp_path / "map.svg")]) == 0
    names = sorted(p.name for p in tmp_path.glob("*.svg"))
    assert names == ["map-tiny-count=2.svg", "map-tiny-count=3.svg"]
    shown = capsys.readouterr().out
    assert "tiny[count=2], seed 0" in shown and "tiny[count=3], seed 0" in shown


@pytest.mark.parametrize(
    ("name", "said"),
    [("map.pdf", "ends in .svg or .png"), ("gone/map.svg", "there is no folder")],
)
def test_a_picture_that_cannot_be_written_is_named(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert main(["describe", str(file), "--out", str(tmp_path / name)]) == 1
    assert said in capsys.readouterr().err


def test_a_seed_is_a_whole_number(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["describe", str(file), "--seed=-1"])
    assert end.value.code == 2
    assert "got '-1'; seeds are whole numbers, 0 or greater" in capsys.readouterr().err


def test_mistakes_in_the_file_are_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TINY.replace("count: 4", "count: 0"))
    assert main(["describe", str(file)]) == 1
    assert "clients.count: got 0; must be at least 1" in capsys.readouterr().err
    file.write_text(TINY.replace("count: 4", "count: 4000"))
    assert main(["describe", str(file)]) == 1
    assert "4000 clients with at least 1 example(s) each need" in capsys.readouterr().err


@pytest.mark.slow
def test_large_maps_stay_small_files(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(50, size=(10_000, 10))
    path = tmp_path / "a.svg"
    label_map(counts, [str(i) for i in range(10_000)], "many", path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(FederatedError, match=r"ends in \.svg or \.png"):
        label_map(counts, [], "", tmp_path / "a")
