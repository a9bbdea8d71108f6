"""Which files pytest reads as scenario files, and which it names as not read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pytest_federated.core.errors import FederatedError
from pytest_federated.data.splits.partition import splits
from pytest_federated.plugin.collection import check_files
from pytest_federated.plugin.finding import files_to_read
from scenario_texts import TINY

NO_PATTERN = "no pattern of fed_files is for it"
IGNORED = "ignored (norecursedirs, collect_ignore, --ignore, a venv)"
HIDDEN = "its name begins with a dot"

# What lies there; pytest's arguments; what is read; what is named as not read, and why.
CASES = {
    "by its folder": (["scenarios/a.yaml"], ["."], ["scenarios/a.yaml"], {}),
    "by a folder further below": (["x/scenarios/a.yml"], ["."], ["x/scenarios/a.yml"], {}),
    "by its name": (["x/a.scenario.yaml"], ["x"], ["x/a.scenario.yaml"], {}),
    "by being named": (["x/a.yaml"], ["x/a.yaml"], ["x/a.yaml"], {}),
    "with a scenario": (["scenarios/a.yaml"], ["scenarios/a.yaml::a"], ["scenarios/a.yaml"], {}),
    "with a scenario, elsewhere": (["x/a.yaml"], ["x/a.yaml::a"], ["x/a.yaml"], {}),
    "elsewhere": (
        ["x/a.yaml", "scenarios/b.yaml"],
        ["."],
        ["scenarios/b.yaml"],
        {"x/a.yaml": NO_PATTERN},
    ),
    "elsewhere, of several arguments": (
        ["x/a.yaml", "scenarios/b.yaml"],
        ["x", "scenarios"],
        ["scenarios/b.yaml"],
        {"x/a.yaml": NO_PATTERN},
    ),
    "elsewhere, in another folder": (
        ["x/a.yaml", "y/a.scenario.yaml"],
        ["y"],
        ["y/a.scenario.yaml"],
        {},
    ),
    "no scenario": (["x/compose.yaml", "a.scenario.yaml"], ["."], ["a.scenario.yaml"], {}),
    "defaults": (["scenarios/defaults.yaml", "scenarios/a.yaml"], ["."], ["scenarios/a.yaml"], {}),
    "hidden": (
        ["scenarios/.a.yaml", "scenarios/b.yaml"],
        ["."],
        ["scenarios/b.yaml"],
        {"scenarios/.a.yaml": HIDDEN},
    ),
    "hidden and elsewhere": (["x/.a.yaml", "scenarios/b.yaml"], ["."], ["scenarios/b.yaml"], {}),
    "hidden and named": (["scenarios/.a.yaml"], ["scenarios/.a.yaml"], ["scenarios/.a.yaml"], {}),
    "ignored file": (
        ["scenarios/a.yaml", "scenarios/b.yaml", "x/c.yaml"],
        [".", "--ignore=scenarios/a.yaml", "--ignore=x/c.yaml"],
        ["scenarios/b.yaml"],
        {"scenarios/a.yaml": IGNORED},
    ),
    "ignored folder": (
        ["scenarios/build/a.yaml", "scenarios/build/defaults.yaml", "scenarios/b.yaml"],
        ["."],
        ["scenarios/b.yaml"],
        {"scenarios/build/a.yaml": IGNORED},
    ),
    "the whole folder ignored": (
        ["scenarios/a.yaml", "b.scenario.yaml"],
        [".", "--ignore=scenarios"],
        ["b.scenario.yaml"],
        {"scenarios/a.yaml": IGNORED},
    ),
    "ignored by its own name": (
        ["x/a.scenario.yaml", "scenarios/b.yaml"],
        [".", "--ignore=x/a.scenario.yaml"],
        ["scenarios/b.yaml"],
        {"x/a.scenario.yaml": IGNORED},
    ),
    "beside a test": (
        ["scenarios/a.yaml", "test_b.py"],
        ["scenarios", "test_b.py"],
        ["scenarios/a.yaml"],
        {},
    ),
    "ignored folder elsewhere": (
        ["build/a.yaml", "scenarios/b.yaml"],
        ["."],
        ["scenarios/b.yaml"],
        {},
    ),
    "link to a file": (
        ["scenarios/a.yaml", "scenarios/b.yaml -> a.yaml"],
        ["scenarios"],
        ["scenarios/a.yaml"],
        {},
    ),
    "link to a folder around it": (
        ["scenarios/a.yaml", "scenarios/again -> ."],
        ["scenarios"],
        ["scenarios/a.yaml"],
        {},
    ),
}


def lay_out(root: Path, names: list[str]) -> None:
    for name in names:
        place, _, target = name.partition(" -> ")
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        elif name.endswith(".py"):
            path.touch()
        elif "compose" in name:
            path.write_text("services: {}\n")
        elif "defaults" in name:
            path.write_text("model: {kind: mlp, hidden: [16]}\n")
        else:
            path.write_text(TINY.replace("tiny", path.name.strip(".").partition(".")[0]))


@pytest.mark.parametrize("case", CASES)
def test_pytest_and_the_controller_of_xdist_read_the_same_files(
    pytester: pytest.Pytester, case: str
) -> None:
    names, arguments, read, others = CASES[case]
    pytester.makeini("[pytest]\n")
    lay_out(pytester.path, names)
    result = pytester.runpytest_inprocess("--collect-only", "-q", *arguments)
    assert result.ret == pytest.ExitCode.OK
    collected = [line.partition("::")[0] for line in result.outlines if "::" in line]
    assert collected == read
    lines = [line for line in result.outlines if line.startswith("not read: ")]
    assert lines == [f"not read: {name}: {why}" for name, why in others.items()]
    config = pytester.parseconfigure(*arguments)
    paths = [path.relative_to(pytester.path).as_posix() for path in files_to_read(config)]
    assert paths == collected


@pytest.mark.parametrize("target", ["gone.yaml", "/dev/null"])
def test_what_is_no_file_is_a_problem_where_a_scenario_would_be(
    pytester: pytest.Pytester, target: str
) -> None:
    pytester.makeini("[pytest]\n")
    lay_out(pytester.path, ["scenarios/a.yaml", f"scenarios/b.yaml -> {target}", "x/.keep.yaml"])
    for place in ("x/b.yaml", "scenarios/note.txt", "scenarios/.c.yaml"):
        (pytester.path / place).symlink_to(target)
    (pytester.path / "scenarios/folder.yaml").mkdir()
    result = pytester.runpytest_inprocess("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: 1 problem(s) in scenario files", "  scenarios/b.yaml*"])
    config = pytester.parseconfigure()
    paths = [path.relative_to(pytester.path).as_posix() for path in files_to_read(config)]
    assert sorted(paths) == ["scenarios/a.yaml", "scenarios/b.yaml"]
    elsewhere = pytester.runpytest_inprocess("--collect-only", "-q", "x")
    assert elsewhere.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_folder_that_cannot_be_read_is_an_error_of_its_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\n")
    lay_out(pytester.path, ["scenarios/a.yaml", "scenarios/locked/b.yaml"])

    def locked(inner: Any) -> Any:  # a test that root runs could read it
        def read(path: Any = ".") -> Any:
            if Path(path).name == "locked":
                raise PermissionError(13, "Permission denied", str(path))
            return inner(path)

        return read

    for function in (os.scandir, os.listdir):
        monkeypatch.setattr(os, function.__name__, locked(function))
    result = pytester.runpytest_inprocess("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        ["scenarios/a.yaml::a", "ERROR scenarios/locked - PermissionError*"]
    )
    config = pytester.parseconfigure()
    assert list(files_to_read(config)) == [pytester.path / "scenarios/a.yaml"]


def test_ignored_files_of_a_folder_are_counted(pytester: pytest.Pytester) -> None:
    """All of them, however many: the folder's name is enough."""
    pytester.makeini("[pytest]\n")
    build = [f"scenarios/build/n{n:02}.yaml" for n in range(30)]
    lay_out(pytester.path, [*build, "scenarios/dist/a.yaml", "scenarios/a.yaml"])
    result = pytester.runpytest_inprocess("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            f"not read: scenarios/dist/a.yaml: {IGNORED}",
            "not read: scenarios/build: 30 files that pytest is told to ignore;",
            "  to run them: pytest scenarios/build (unless by *",
        ],
        consecutive=True,
    )
    named = pytester.runpytest_inprocess("--collect-only", "-q", "scenarios/build")
    assert len([line for line in named.outlines if "::" in line]) == 30


@pytest.mark.parametrize(
    ("count", "shown", "last"), [(20, 20, "x/19.yaml"), (21, 20, "1 other file(s)")]
)
def test_twenty_files_that_are_not_read_are_named(
    pytester: pytest.Pytester, count: int, shown: int, last: str
) -> None:
    pytester.makeini("[pytest]\n")
    lay_out(pytester.path, [f"x/{n:02}.yaml" for n in range(count)])
    result = pytester.runpytest_inprocess("--collect-only", "-q")
    lines = [line for line in result.outlines if line.startswith("not read: ")]
    assert len([line for line in lines if "x/" in line]) == shown
    assert lines[-1].startswith(f"not read: {last}")
    said = "  fed_files: scenarios/* */scenarios/* *.scenario.yaml *.scenario.yml"
    assert result.outlines.count(said) == 1
    assert max(map(len, result.outlines)) <= 80


def test_without_an_ini_file_the_name_of_the_root_folder_counts(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("scenarios")
    lay_out(folder, ["a.yaml"])
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        result = pytester.runpytest_inprocess("--collect-only", "-q", "--rootdir=.")
        result.stdout.fnmatch_lines(["a.yaml::a"])
        (folder / "pytest.ini").write_text("[pytest]\n")
        result = pytester.runpytest_inprocess("--collect-only", "-q", "--rootdir=.")
        result.stdout.fnmatch_lines(["not read: a.yaml: no pattern of fed_files*"])


def test_a_file_outside_the_root_folder_is_named_by_its_whole_path(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytester.makeini("[pytest]\n")
    outside = tmp_path_factory.mktemp("outside")
    lay_out(outside, ["a.yaml"])
    result = pytester.runpytest_inprocess(
        "--collect-only", "-q", f"--rootdir={pytester.path}", "-c", "tox.ini", str(outside)
    )
    result.stdout.fnmatch_lines([f"not read: {outside}/a.yaml: no pattern*"])


MISTAKE = TINY.replace("count: 4", "coutn: 4")
REGISTERS = """
import pytest_federated
@pytest_federated.split("registered_below")
def below(pool, rng):
    '''Gives all to one client.'''
"""


@pytest.mark.parametrize(
    ("conftests", "said"),
    [
        ({}, "a.yaml:5: clients.coutn: unknown key"),
        ({"scenarios/x/conftest.py": "collect_ignore = ['a.yaml']"}, ""),
        ({"scenarios/x/conftest.py": "collect_ignore_glob = ['*.yaml', '*.yml']"}, ""),
        ({"scenarios/conftest.py": "collect_ignore = ['x']"}, ""),
        (
            {"scenarios/x/conftest.py": "collect_ignore = ['b']; collect_ignore_glob = ['*.yml']"},
            "a.yaml:5: clients.coutn: unknown key",
        ),
        ({"scenarios/x/conftest.py": "raise ValueError('pytest says so itself')"}, ""),
        # Above the root folder, where pytest reads none.
        ({"../conftest.py": "collect_ignore_glob = ['*']"}, "a.yaml:5: clients.coutn: unknown key"),
    ],
)
def test_the_controller_of_xdist_goes_by_the_conftests_further_below(
    pytester: pytest.Pytester, conftests: dict[str, str], said: str
) -> None:
    """pytest itself reads them when it collects, which the controller does not."""
    root = pytester.mkdir("root")
    (root / "pytest.ini").write_text("[pytest]\n")
    (root / "scenarios/x").mkdir(parents=True)
    (root / "scenarios/x/a.yaml").write_text(MISTAKE)
    for name, text in conftests.items():
        (root / name).write_text(text)
    config = pytester.parseconfigure(f"--rootdir={root}", "-c", root / "pytest.ini", root)
    if said:
        with pytest.raises(pytest.UsageError, match=said):
            check_files(config)
    else:
        assert check_files(config) == []


def test_the_controller_of_xdist_knows_what_a_conftest_further_below_registers(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "_entries", splits.entries())
    pytester.makeini("[pytest]\n")
    lay_out(pytester.path, ["scenarios/x/a.yaml", "scenarios/b.yaml"])
    text = TINY.replace("count: 4", "count: 4, split: registered_below")
    (pytester.path / "scenarios/x/a.yaml").write_text(text)
    (pytester.path / "scenarios/x/conftest.py").write_text(REGISTERS)
    cases = check_files(pytester.parseconfigure("."))
    assert [case.id for case in cases] == ["b", "tiny"]


def test_what_no_scenario_file_is_to_blame_for_is_one_line(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an installed package whose entries cannot be loaded."""

    def load_file(*_: object) -> None:
        raise FederatedError("the entry point mine = broken cannot be loaded")

    monkeypatch.setattr("pytest_federated.plugin.collection.load_file", load_file)
    pytester.makeini("[pytest]\n")
    lay_out(pytester.path, ["scenarios/a.yaml"])
    result = pytester.runpytest_inprocess("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["the entry point mine = broken cannot be loaded"])
    result.stdout.no_fnmatch_line("*Traceback*")
    with pytest.raises(pytest.UsageError, match=r"^the entry point mine = broken cannot be loaded"):
        check_files(pytester.parseconfigure("."))
