"""The `pytest-federated` command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
import pytest_federated
from paths import ROOT
from pytest_federated import load_scenarios
from pytest_federated.__main__ import COMMANDS, main
from pytest_federated.cli import report
from pytest_federated.data.splits.partition import splits
from pytest_federated.registry.concepts import concepts
from pytest_federated.report.export import FORMATS, ROWS
from scenario_texts import TINY

SCENARIOS = ROOT / "scenarios"


def test_check_finds_no_mistakes_in_the_shipped_scenarios(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", str(SCENARIOS), str(SCENARIOS / "papers")]) == 0
    files = [f for f in SCENARIOS.rglob("*.yaml") if f.name != "defaults.yaml"]
    cases = load_scenarios(SCENARIOS)
    points = [len(case.points) for case in cases if case.points]
    shipped = f"{len(cases)} scenario(s) in {len(files)} file(s)"
    tuned = f"{len(points)} of them tuned over {sum(points)} points"
    assert capsys.readouterr().out == f"{shipped}, {tuned}: no mistakes found\n"


def test_check_shows_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.scenario.yaml").write_text(TINY.replace("count: 4", "count: 0"))
    assert main(["check", str(tmp_path)]) == 1
    assert "a.scenario.yaml:5: clients.count: got 0; must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("concept", sorted(concepts()))
def test_list_describes_every_entry(concept: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", concept]) == 0
    shown = capsys.readouterr().out
    registry = concepts()[concept]
    for name in registry.names():
        assert name in shown
        assert registry[name].summary and registry[name].summary in shown


def test_schema_knows_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["properties"]["schema"]
    for registry in concepts().values():
        assert all(f'"{name}"' in text for name in registry.names())


def test_report_needs_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert "no records there" in capsys.readouterr().err


# Runs commands as `python -m` does, one after the other in one process: starting Python and
# importing what they share takes longer than they do.
LIGHT = """
import runpy, sys

def run(*words, heavy):
    sys.argv = ["", *words]
    try:
        runpy.run_module("pytest_federated", run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, words
    assert not heavy & set(sys.modules), words

tff = {"tensorflow", "tensorflow_federated", "jax"}
scenarios, picture = sys.argv[1:]
run("check", scenarios, heavy=tff | {"sklearn", "pandas"})
run("list", "datasets", heavy=tff)
run("schema", heavy=tff)
run("describe", f"{scenarios}/iid.yaml", "--out", picture, heavy=tff)
"""


def test_commands_need_no_tensorflow(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", LIGHT, str(SCENARIOS / "digits"), str(tmp_path / "a.svg")],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "arguments", [[], ["check"], ["nope"], ["list"], ["list", "nope"], ["report"], ["schema", "x"]]
)
def test_wrong_usage_ends_with_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("Usage: pytest-federated")


def test_check_names_a_missing_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "gone.yaml")]) == 1
    said = capsys.readouterr().err
    assert said.endswith("gone.yaml: cannot be read: No such file or directory\n")


def test_check_fails_for_a_folder_without_scenarios(tmp_path: Path) -> None:
    """In CI, that is a folder that was moved."""
    assert main(["check", str(tmp_path)]) != 0


def test_check_reads_what_pytest_would_run_and_names_other_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.ini").touch()
    for name in ("a.scenario.yaml", "b.yaml", ".c.scenario.yaml", "scenarios/build/d.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(TINY.replace("tiny", Path(name).name.strip(".")))
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    assert main(["check", str(tmp_path)]) == 0
    first, second, patterns, third, last = capsys.readouterr().out.splitlines()
    assert first == "not read: .c.scenario.yaml: its name begins with a dot"
    assert second == "not read: b.yaml: no pattern of fed_files is for it"
    assert patterns == "  fed_files: scenarios/* */scenarios/* *.scenario.yaml *.scenario.yml"
    assert third.startswith("not read: scenarios/build/d.yaml: ignored (norecursedirs, ")
    assert last == "1 scenario(s) in 1 file(s): no mistakes found"
    assert main(["check", str(tmp_path / "b.yaml")]) == 0
    assert main(["check", str(tmp_path / "compose.yaml")]) == 1


@pytest.mark.parametrize("name", ["defaults.yaml", "a.yaml.bak"])
def test_check_refuses_a_file_whose_name_is_not_that_of_a_scenario_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(TINY)
    assert main(["check", str(tmp_path / name)]) == 1
    assert f"{name}: is no scenario file by its name" in capsys.readouterr().err


def test_check_says_what_keeps_pytest_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "a.scenario.yaml").write_text(TINY)
    (tmp_path / "conftest.py").write_text("raise RuntimeError('no server')\n")
    assert main(["check", str(tmp_path)]) == 1
    assert "RuntimeError: no server" in capsys.readouterr().err


def test_check_without_user_code_runs_nothing_of_the_project(pytester: pytest.Pytester) -> None:
    writes = "from pathlib import Path\n\nPath('was_run').touch()\n"
    pytester.makeconftest(writes)
    pytester.makepyfile(plugged=writes)
    pytester.makeini("[pytest]\npythonpath = .\naddopts = -p plugged\n")
    pytester.makefile(".scenario.yaml", a=TINY)
    was_run = pytester.path / "was_run"
    assert main(["check", ".", "--no-user-code"]) == 0
    assert not was_run.exists()
    assert main(["check", "."]) == 0
    assert was_run.exists()


def test_check_knows_what_a_conftest_registers(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "_entries", splits.entries())  # restores the entries afterwards
    folder = pytester.mkdir("scenarios")
    pytester.makeini("[pytest]")
    (folder / "a.yaml").write_text(TINY.replace("count: 4", "count: 4, split: checked"))
    (folder / "conftest.py").write_text(
        "import pytest_federated\n\n\n@pytest_federated.split('checked')\n"
        "def checked(pool, rng):\n    return rng.permutation(len(pool.labels)) % pool.clients\n"
    )
    assert main(["check", "."]) == 0


def test_check_leaves_hidden_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "a.scenario.yaml").write_text(TINY)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "other.scenario.yaml").write_text("- not ours\n")
    assert main(["check", str(tmp_path)]) == 0


def test_references_in_the_schema_can_be_resolved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    text = capsys.readouterr().out
    references = re.findall(r'"\$ref": "#/([^"]+)"', text)
    assert references
    schema = json.loads(text)
    for reference in set(references):
        found = schema
        for part in reference.split("/"):
            found = found[part]


@pytest.mark.usefixtures("undrawn")
def test_report_prints_the_path_of_the_report(
    tmp_path: Path, committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records").mkdir()
    for record in sorted((committed / "reports/records").iterdir())[3::25]:  # all take seconds
        shutil.copy(record, tmp_path / "records")
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'index.md'}\n"
    assert (tmp_path / "index.md").read_text(encoding="utf-8").startswith("# Federated scenarios")


def test_report_names_a_record_without_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "a.json").write_text(
        '{"record": 1, "id": "a", "settings": {}, "status": "passed"}'
    )
    assert main(["report", str(tmp_path)]) == 1
    assert "a.json" in capsys.readouterr().err


def run_command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest_federated", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["--version"], ["nope"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom pytest_federated.__main__ import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'tensorflow_federated', 'numpy', 'pandas', 'pydantic', 'pytest'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_help_names_every_command_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    def help_of(*arguments: str) -> str:
        assert main([*arguments, "--help"]) == 0
        return capsys.readouterr().out

    shown = help_of()
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z].*\.$", shown, re.MULTILINE)
        text = help_of(name)
        assert text.startswith(f"Usage: pytest-federated {name} ")
        assert max(map(len, text.splitlines())) <= 80
    files = {f.stem for f in (ROOT / "harness/pytest_federated/cli").glob("*.py")}
    assert files == {*COMMANDS, "__init__", "collecting", "existing", "parameters"}


def test_the_version_is_that_of_the_distribution() -> None:
    assert run_command("--version").stdout == f"pytest-federated {pytest_federated.__version__}\n"
    assert pytest_federated.__version__ == version("pytest-federated")


def test_a_closed_pipe_is_not_a_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        command = [sys.executable, "-m", "pytest_federated", "schema"]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_shell_completes_commands_and_choices() -> None:
    script = Path(sys.executable).with_name("pytest-federated")
    if not script.is_file():
        pytest.skip("the command is not installed here")

    def completed(words: str, position: int) -> set[str]:
        variables = {
            "_PYTEST_FEDERATED_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        }
        done = subprocess.run(
            [str(script)], env={**os.environ, **variables}, capture_output=True, text=True
        )
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert completed("pytest-federated c", 1) == {"check", "calibrate", "compare"}
    assert completed("pytest-federated list s", 2) == {n for n in concepts() if n[0] == "s"}


def test_every_export_has_an_option() -> None:
    options = {name for option in report.command.params for name in option.opts}
    assert {f"--{name}" for name in FORMATS} <= options
    by = next(option for option in report.command.params if option.name == "by")
    assert isinstance(by.type, click.Choice) and list(by.type.choices) == list(ROWS)


def test_files_without_update_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["report", "reports", "README.md"])
    assert end.value.code == 2
    assert "unexpected argument 'README.md'" in capsys.readouterr().err
