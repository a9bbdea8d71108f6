"""README and docs show what pytest-federated does."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import pytest_federated
from paths import ROOT
from pytest_federated import load_file, load_scenarios
from pytest_federated.__main__ import COMMANDS
from pytest_federated.data.datasets.dataset import Cache, datasets
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.data.sizes.size import sizes
from pytest_federated.data.splits.partition import splits
from pytest_federated.metrics.metric import metrics
from pytest_federated.registry.concepts import concepts
from pytest_federated.report.layout import LARGEST
from pytest_federated.report.pages import report, report_files
from pytest_federated.results.store import read_results
from pytest_federated.results.tuning import without_tuned
from pytest_federated.running.pipeline import settings_of_result
from pytest_federated.scenario.json_schema import json_schema
from pytest_federated.scenario.references import concerning
from pytest_federated.training.schema import Training


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_readme_can_be_read_at_once() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.slow  # reads 13 MB of records
def test_the_committed_report_is_up_to_date_with_the_shipped_scenarios(committed: Path) -> None:
    """Records have the settings of the files, and the report is made from the records."""
    folder = committed / "reports"
    shipped_cases = {case.id: case for case in load_scenarios(ROOT / "scenarios")}
    shipped = {name: case.scenario for name, case in shipped_cases.items()}
    recorded = read_results(folder)
    results = {r.id: r for r in recorded if r.status != "skipped"}
    # Scenarios whose data a machine may not have may be missing.
    assert {i for i, s in shipped.items() if "download" not in s.tags} <= set(results)
    assert set(results) <= set(shipped)
    for name, result in results.items():
        scenario = shipped[name]
        settings = settings_of_result(scenario, scenario.seeds, result.histories)
        assert without_tuned(result.settings) == without_tuned(settings)
        # A variant is not compared with itself, and most of what papers state is only reported.
        assert result.status == ("passed" if concerning(shipped_cases[name]) else "reported")
    written = {p: p.read_text(encoding="utf-8") for p in folder.rglob("*.md")}
    assert written == {folder / p: text for p, text in report(recorded).items()}


@pytest.mark.slow
def test_the_plots_of_the_committed_report_are_up_to_date_with_its_records(committed: Path) -> None:
    """To the byte, with the locked version of Matplotlib."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    if f"matplotlib=={version('matplotlib')} ; python_full_version >= '3.11'" not in lock:
        pytest.skip("the committed plots are of another Matplotlib")
    folder = committed / "reports"
    pictures = {n: text for n, text in report_files(read_results(folder)).items() if "svg" in n}
    for name, text in pictures.items():
        assert text == (folder / name).read_text(encoding="utf-8"), name
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.svg")}
    docs = (committed / "docs/reports.md").read_text(encoding="utf-8")
    assert written - {*pictures} == {*re.findall(r"\.\./reports/(plots/[^)]+)\)", docs)}


def test_the_committed_report_can_be_read_on_github(committed: Path) -> None:
    """Its pages are small, and no row that is not folded is too wide to be seen at once.

    Why a scenario did not run is a sentence, whose lines break.
    """
    for page in (committed / "reports").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert len(text.encode()) <= LARGEST
        seen = re.sub("<details>.*?</details>", "", text, flags=re.DOTALL)
        seen = re.sub("^## Not run$.*?(?=^## )", "", seen, flags=re.DOTALL | re.MULTILINE)
        for row in re.findall(r"^\|.*\|$", seen, flags=re.MULTILINE):
            plain = re.sub(r"\]\([^)]*\)|[\[\\]| {2,}", "", row)
            assert len(plain) <= 120 or set(plain) <= set("|-"), plain


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with freshly generated pages, without pictures, and without that on data sets."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        for page in ("algorithms", "commands", "reference", "metrics"):
            patch.setattr(sys, "argv", [page, str(folder)])
            importlib.import_module(f"make_{page}").main()
        splits_page: str = importlib.import_module("make_splits").page()
    (folder / "splits.md").write_text(splits_page, encoding="utf-8")
    return folder


def test_the_page_on_splits_is_up_to_date(generated: Path) -> None:
    """After an intended change, run `uv run python docs/make_splits.py` and read the diff."""
    made = (generated / "splits.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/splits.md").read_text(encoding="utf-8")
    for registry in (splits, sizes, shifts):
        for name in registry.names():
            assert f"### {name}\n" in made


@pytest.mark.slow
def test_the_picture_of_a_failure_is_up_to_date(tff_programs: None, tmp_path: Path) -> None:
    """Run `uv run python docs/make_picture.py`; figures may be others on another machine."""
    script = [sys.executable, str(ROOT / "docs/make_picture.py"), str(tmp_path)]
    subprocess.run(script, check=True, cwd=ROOT)
    new, old = (folder / "failure.svg" for folder in (tmp_path, ROOT / "docs"))
    drawn, committed = (re.sub(r"\d+", "0", f.read_text(encoding="utf-8")) for f in (new, old))
    assert drawn == committed


@pytest.mark.slow
def test_the_pictures_of_splits_are_up_to_date(generated: Path, tmp_path: Path) -> None:
    """To the byte, with the locked version of Matplotlib."""
    script = [sys.executable, str(ROOT / "docs/make_splits.py"), str(tmp_path)]
    subprocess.run(script, check=True, cwd=ROOT)
    written = (tmp_path / "splits.md").read_bytes()
    assert written == (generated / "splits.md").read_bytes()
    committed = {p.name: p.read_bytes() for p in (ROOT / "docs/splits").iterdir()}
    assert set(committed) == {f"{name}.svg" for name in splits.names()}
    for name, picture in committed.items():
        if f"Matplotlib v{version('matplotlib')}," not in picture.decode():
            pytest.skip("the committed pictures are of another Matplotlib")
        assert (tmp_path / "splits" / name).read_bytes() == picture, name


def test_the_yaml_on_the_page_on_splits_is_valid(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("docs/splits.md", "yaml")):
        file = tmp_path / f"{number}.yaml"
        rest = "schema: 1\nname: a\ndata: {dataset: digits}\nmodel: mlp\ntraining: {rounds: 1}\n"
        file.write_text(rest + block, encoding="utf-8")
        assert load_file(file)


@pytest.mark.slow  # its table of odd files imports the libraries that write them
def test_the_page_on_data_sets_is_up_to_date(tmp_path: Path) -> None:
    """After an intended change, run `uv run python docs/make_datasets.py` and read the diff."""
    script = [sys.executable, str(ROOT / "docs/make_datasets.py"), str(tmp_path)]
    subprocess.run(script, check=True, cwd=ROOT)
    made = (tmp_path / "datasets.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    for name in datasets.names():
        assert f"### {name}\n" in made


def test_the_page_on_algorithms_is_up_to_date(generated: Path) -> None:
    """After an intended change, run `uv run python docs/make_algorithms.py` and read the diff.

    The page names the shipped scenarios of each algorithm and aggregator; a new one needs none.
    """
    made = (generated / "algorithms.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/algorithms.md").read_text(encoding="utf-8")
    known = concepts()
    for concept in ("algorithms", "aggregators", "optimizers", "schedules"):
        for name in known[concept].names():
            assert f"### {name}\n" in made
    for key in Training.model_fields:
        assert f"| `training.{key}` | " in made


@pytest.mark.parametrize(
    ("key", "concept"),
    [
        ("clients.split", "splits"),
        ("clients.size", "sizes"),
        ("clients.shift", "shifts"),
        ("clients.sampling", "samplers"),
        ("clients.dropout", "dropouts"),
        ("clients.stragglers", "stragglers"),
        ("clients.attacks", "attacks"),
        ("training.algorithm", "algorithms"),
        ("training.client_optimizer.schedule", "schedules"),
        ("training.aggregator", "aggregators"),
        ("training.client_optimizer", "optimizers"),
    ],
)
def test_the_row_of_a_key_names_all_its_choices(key: str, concept: str) -> None:
    page = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{key}` \|.*$", page, re.MULTILINE)
    assert missing_names(row, concept) == []


@pytest.mark.parametrize(
    ("page", "concept"),
    [
        ("scenarios.md", "datasets"),
        ("scenarios.md", "models"),
        ("models.md", "models"),
        *(("clients.md", c) for c in ("samplers", "dropouts", "stragglers", "attacks")),
        ("clients.md", "aggregators"),
    ],
)
def test_a_page_names_all_entries_of_its_concepts(page: str, concept: str) -> None:
    assert missing_names((ROOT / "docs" / page).read_text(encoding="utf-8"), concept) == []


def missing_names(text: str, concept: str) -> list[str]:
    """Returns the names of a concept that are not in the text as code."""
    names = concepts()[concept].names()
    return [name for name in names if not re.search(rf"[`{{\s]{name}\b[^`\n|]*`", text)]


def test_the_reference_is_up_to_date(generated: Path) -> None:
    """After an intended change, run `uv run python docs/make_reference.py` and read the diff."""
    made = (generated / "reference.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    chapters = {c.partition("\n")[0]: c for c in made.split("\n## ")}
    for plural, registry in concepts().items():
        chapter = chapters[plural.capitalize()]
        assert f"| `{registry.names()[0]}` |" in chapter
        for name in registry.names():
            assert f"| `{name}` |" in chapter


def test_the_pages_on_options_and_commands_are_up_to_date(
    generated: Path, pytestconfig: pytest.Config
) -> None:
    """After an intended change, run `uv run python docs/make_commands.py` and read the diff."""
    for page in ("options.md", "commands.md"):
        made = (generated / page).read_text(encoding="utf-8")
        assert made == (ROOT / "docs" / page).read_text(encoding="utf-8")
    options = (generated / "options.md").read_text(encoding="utf-8")
    for option in pytestconfig._parser.getgroup("federated").options:
        assert f"| `{option.names()[0]}" in options
    commands = (generated / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", commands, re.MULTILINE) == list(COMMANDS)


def test_the_cross_check_page_is_what_its_figures_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change, run `uv run python benchmarks/cross_check.py --page` and read the diff."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    figures, pages = (importlib.import_module(f"cross.{name}") for name in ("figures", "page"))
    text = (ROOT / "benchmarks/cross/figures.json").read_text(encoding="utf-8")
    made = figures.read_kept(text)
    assert figures.kept(made) == text
    # Whatever was trained last, as after --resume: seeds are paired.
    resumed = {side: dict(reversed(list(curves.items()))) for side, curves in made.items()}
    assert figures.kept(resumed) == text
    backwards = figures.read_kept(json.dumps(json.loads(text)[::-1]))
    assert all(list(curves) == sorted(curves) for curves in backwards.values())
    assert pages.page(made) == (ROOT / "docs/cross-check.md").read_text(encoding="utf-8")
    (case,) = load_file(ROOT / "benchmarks/cross_check.yaml")
    for curves in made.values():
        assert list(curves) == list(case.scenario.seeds)
        assert {len(curve) for curve in curves.values()} == {case.scenario.training.rounds}


def test_the_cross_check_page_says_so_if_a_side_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    figures, pages = (importlib.import_module(f"cross.{name}") for name in ("figures", "page"))
    made = figures.read_kept((ROOT / "benchmarks/cross/figures.json").read_text(encoding="utf-8"))
    assert "**The three agree.**" in pages.verdict(made)
    for first, later in ((0.001, 0.0), (0.0, 0.1)):  # in the first round, or from the second on
        wrong = {
            seed: [
                one._replace(accuracy=one.accuracy - (later if place else first))
                for place, one in enumerate(curve)
            ]
            for seed, curve in made["Flower"].items()
        }
        assert pages.verdict({**made, "Flower": wrong}).startswith("**Flower: not as")


def test_the_page_on_scenario_files_has_every_key() -> None:
    schema = json_schema()
    keys: set[str] = set()
    for name, value in schema["properties"].items():
        section = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
        is_section = name in ("data", "clients", "training")
        keys |= {f"{name}.{key}" for key in section["properties"]} if is_section else {name}
    page = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    assert keys <= set(re.findall(r"^\| `([\w.]+)` \| ", page, re.MULTILINE))


def test_the_page_on_the_api_has_every_public_name() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    described = re.findall(r"^::: pytest_federated\.(\w+)$", page, re.MULTILINE)
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    decorators = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted([*described, *decorators]) == sorted(pytest_federated.__all__)


def test_the_table_of_metrics_is_up_to_date(generated: Path) -> None:
    """After an intended change, run `uv run python docs/make_metrics.py` and read the diff."""
    made = (generated / "judging.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/judging.md").read_text(encoding="utf-8")
    for name in metrics.names():
        assert f"| `{name}` | " in made


def test_the_table_of_faults_is_up_to_date(tmp_path: Path) -> None:
    """After an intended change, run `uv run python docs/make_reliability.py` and read the diff."""
    script = [sys.executable, str(ROOT / "docs/make_reliability.py"), str(tmp_path)]
    subprocess.run(script, check=True, cwd=ROOT)  # it starts pytest
    made = (tmp_path / "reliability.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    assert "| Ctrl-C while TFF trains | 1 |" in made


def test_the_documented_facts_of_packaged_data_are_true() -> None:
    for name in ("digits", "mnist_5k", "breast_cancer", "wine"):
        facts = datasets[name].spec.facts
        dataset = datasets[name].function(Cache(Path("unused")))
        loaded = dataset.load(None)
        assert facts.examples == f"{len(loaded.train):,}"
        assert facts.shape == " × ".join(map(str, loaded.train.x.shape[1:]))
        assert facts.labels.startswith(f"{dataset.num_classes} ")
        assert facts.natural.partition(" ")[0] == (str(len(dataset.natural) or ""))
