"""Hostile files: each is refused at once, in a few lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_federated
from paths import ROOT
from pytest_federated.__main__ import main
from pytest_federated.core.errors import ScenarioError
from pytest_federated.scenario.loader import load_file
from pytest_federated.scenario.matrix import MAX_KEYS, MAX_VARIANTS
from pytest_federated.scenario.source import MAX_BYTES, MAX_DEPTH, MAX_NODES
from scenario_texts import GOOD


def bomb(first: str, item: Callable[[str], str]) -> str:
    """Nine levels of nine aliases each: 9^9 values."""
    lines = [f"x0: &x0 {first}"]
    lines += [f"x{n}: &x{n} {item(f'*x{n - 1}')}" for n in range(1, 10)]
    return "\n".join(lines) + "\n"


TOO_LARGE = f"is too large, with its aliases written out; allowed: at most {MAX_NODES:,} values"
TOO_DEEP = f"is nested too deeply; allowed: at most {MAX_DEPTH} mappings and lists"
VARIED = ("clients.count", "training.rounds", "training.batch_size", "training.eval_every", "seeds")

# What is appended to a good scenario, and the message that refuses it.
HOSTILE = {
    "lists in lists": (bomb("[a, a]", lambda x: f"[{', '.join([x] * 9)}]"), TOO_LARGE),
    "mappings in mappings": (
        bomb("{a: 1}", lambda x: "{" + ", ".join(f"k{n}: {x}" for n in range(9)) + "}"),
        TOO_LARGE,
    ),
    "merged mappings": (
        bomb("{a: 1}", lambda x: f"{{<<: [{', '.join([x] * 9)}]}}"),
        TOO_LARGE,
    ),
    "a list in itself": ("a: &a [*a]\n", "7: a: contains itself, by an alias"),
    "a mapping in itself": ("a: &a {b: {c: *a}}\n", "7: a: contains itself, by an alias"),
    "merged with itself": ("a: &a {<<: *a}\n", "7: a: contains itself, by an alias"),
    "merged with no mapping": ("a: {<<: [3]}\n", "7: a: got << without a mapping"),
    "a matrix": (
        "matrix: {" + ", ".join(f"{k}: [{', '.join('9' * 20)}]" for k in VARIED) + "}\n",
        "7: matrix: makes 3,200,000 scenarios; allowed: at most 10,000",
    ),
    "a matrix of many keys": (
        "matrix: {" + ", ".join(f"clients.k{n}: [1]" for n in range(101)) + "}\n",
        "7: matrix: got 101 keys; allowed: at most 100",
    ),
    **{
        f"{depth} {opening}": (f"a: {opening * depth}\n", TOO_DEEP)
        for depth in (60, 300, 100_000)
        for opening in ("[", "{a: ")
    },
    **{
        f"{depth} lines of {item}": (
            "a:\n" + "".join(f"{' ' * n}{item}\n" for n in range(1, depth)),
            TOO_DEEP,
        )
        for depth in (60, 1000)
        for item in ("-", "a:")
    },
    **{
        f"the key {key}": (f"{line}: 1\n", f"7: got {key} as a key; keys are text")
        for key, line in {
            "null": "null",
            "~": "~",
            "true": "true",
            "1.5": "1.5",
            ".nan": ".nan",
            "2024-01-01": "2024-01-01",
            "2020-13-45": "2020-13-45",
            "a list": "? [a]\n",
            "a mapping": "? {a: 1}\n",
        }.items()
    },
    "a key of two lines": ('"a\\nb\\e": 1\n', r"7: a\nb\x1b: unknown key; allowed: "),
    "binary data as a key": ("? !!binary |\n  aGk=\n: 1\n", r"7: got aGk=\n as a key; keys are"),
    "no key": (": 1\n", "7: got null as a key; keys are text"),
    "null in matrix": ("matrix:\n  null: [1]\n", "8: matrix: got null as a key; keys are text"),
    "a list in expect": ("expect:\n  ? [a]\n  : {}\n", "8: expect: got a list as a key"),
    **{
        f"the value {value[:9]}": (f"description: {value}\n", f"7: description: got {said}")
        for value, said in {
            "2020-13-45": "2020-13-45; is not a date; if it is text, put it in quotes",
            "!!int x": "x; is not a whole number",
            "!!timestamp x": "x; is not a date",
            "!!bool x": "x; is not true or false",
            "!!python/object:os.system x": "the tag !!python/object:os.system; leave it out",
            "!mine x": "the tag !mine; leave it out",
            "!!binary aGk=": "the tag !!binary; leave it out",
            "!!map x": "the tag !!map; leave it out",
            "!!set {a}": "the tag !!set; leave it out",
            "9" * 5000: f"{'9' * 57}...; a whole number has at most 64 bits",
            f"-0x{'f' * 5000}": f"-0x{'f' * 54}...; a whole number has at most 64 bits",
            '"\\ud800"': "text with a character that cannot be written to a file",
            '"a\\0b"': "text with a character that cannot be written to a file",
            ".inf": "inf; must be text",
        }.items()
    },
    "control characters": ("a: \0\n", "7: not YAML: special characters are not allowed"),
}


@pytest.fixture
def said(tmp_path: Path) -> Callable[[str], str]:
    (tmp_path / "pytest.ini").touch()

    def read(text: str) -> str:
        (tmp_path / "f.yaml").write_text(text)
        with pytest.raises(ScenarioError) as error:
            load_file(tmp_path / "f.yaml", tmp_path)
        assert len(error.value.problems) < 5 and str(tmp_path) not in str(error.value)
        return str(error.value)

    return read


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_refusal_is_one_line(kind: str, said: Callable[[str], str]) -> None:
    text, message = HOSTILE[kind]
    assert message in said(GOOD + text)


@pytest.mark.parametrize(("kind", "line"), [("lists in lists", 1), ("the key null", 1)])
def test_defaults_are_refused_as_scenarios_are(tmp_path: Path, kind: str, line: int) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "f.yaml").write_text(GOOD)
    (tmp_path / "defaults.yaml").write_text(HOSTILE[kind][0])
    with pytest.raises(ScenarioError, match=rf"^defaults.yaml:{line}: ") as error:
        load_file(tmp_path / "f.yaml", tmp_path)
    assert HOSTILE[kind][1].partition(": ")[2] in str(error.value)


@pytest.mark.parametrize("version", ["9.9", "x", "1." + "9" * 5000])
def test_another_version_of_yaml_is_refused(version: str, said: Callable[[str], str]) -> None:
    assert "not YAML: " in said(f"%YAML {version}\n---\n{GOOD}")


def test_a_file_just_within_the_limits_is_read(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    file = tmp_path / "f.yaml"
    file.write_text(GOOD + "#" * (MAX_BYTES - len(GOOD)))
    assert len(load_file(file)) == 1
    file.write_text(GOOD + "#" * (MAX_BYTES - len(GOOD) + 1))
    with pytest.raises(ScenarioError, match=r"is too large; allowed: at most 1,000,000 bytes"):
        load_file(file)
    nested = "{kind: inner, split: " * 20 + "iid" + "}" * 20
    file.write_text(GOOD.replace("count: 4", f"count: 4, split: {nested}"))
    assert len(load_file(file)) == 1


def test_the_limits_are_documented() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    for limit in (MAX_BYTES, MAX_NODES, MAX_DEPTH, MAX_VARIANTS, MAX_KEYS):
        assert f" {limit:,} " in text.replace("\n", " ")


def test_many_problems_are_not_all_shown(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "f.yaml").write_text(GOOD + "".join(f"a{n}: 1\n" for n in range(500)))
    (tmp_path / "g.yaml").write_text(GOOD + "".join(f"? [{n}]\n: 1\n" for n in range(500)))
    for name in "fg":
        with pytest.raises(ScenarioError) as error:
            load_file(tmp_path / f"{name}.yaml")
        assert len(error.value.problems) == 100


def test_the_scenarios_of_all_documents_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_VARIANTS == 10_000
    monkeypatch.setattr("pytest_federated.scenario.loader.MAX_VARIANTS", 3)
    (tmp_path / "pytest.ini").touch()
    two = GOOD + "matrix: {clients.count: [1, 2]}\n---\n"
    (tmp_path / "f.yaml").write_text(two + two.replace("tiny", "other"))
    with pytest.raises(ScenarioError, match=r"f\.yaml:9: has more than 3 scenarios"):
        load_file(tmp_path / "f.yaml")


def test_long_documents_make_fewer_scenarios(
    said: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_federated.scenario.matrix.MAX_PLACES", 40)
    message = "f.yaml:7: matrix: makes 3 scenarios; allowed: at most 2 of one as long as this"
    assert message in said(GOOD + "matrix: {clients.count: [1, 2, 3]}\n")


def test_a_merged_mapping_is_read_as_yaml_says(tmp_path: Path) -> None:
    """Its own keys come first, then those of the first mapping that has them."""
    (tmp_path / "pytest.ini").touch()
    text = """\
schema: 1
name: tiny
data: {dataset: digits}
clients: {<<: [&a {count: 4}, {count: 5, per_round: 2}]}
model: mlp
training:
  <<: *a
  rounds: 2
"""
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as error:
        load_file(file, tmp_path)
    assert str(error.value).startswith("f.yaml:4: training.count: unknown key")
    file.write_text(text.replace("<<: *a", "<<: {rounds: 9, batch_size: 7}"))
    (case,) = load_file(file)
    scenario = case.scenario
    assert (scenario.clients.count, scenario.clients.per_round) == (4, 2)
    assert (scenario.training.rounds, scenario.training.batch_size) == (2, 7)


# Paths that are no regular files


def _strange(folder: Path) -> dict[str, str]:
    """Makes paths that are named like scenario files; returns the message for each."""
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "broken.yaml").symlink_to("gone")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.yaml")
    return {
        "loop": "Too many levels of symbolic links",
        "broken": "No such file or directory",
        "zero": "it is not a regular file",
        "pipe": "it is not a regular file",
    }


def test_a_path_that_is_no_regular_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfed_files = *\n")
    wanted = _strange(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "folder.yaml" / "f.yaml").write_text(GOOD)
    assert main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(wanted)
    for name, reason in wanted.items():
        assert any(f"{name}.yaml: cannot be read: {reason}" in line for line in lines)
    with pytest.raises(ScenarioError, match=r"cannot be read: it is a folder"):
        load_file(tmp_path / "folder.yaml")
    assert len(pytest_federated.load_scenarios(tmp_path / "folder.yaml")) == 1


@pytest.mark.parametrize("name", ["loop", "broken", "zero", "pipe", "folder"])
def test_defaults_that_are_no_regular_file_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "pytest.ini").touch()
    _strange(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / f"{name}.yaml").rename(tmp_path / "defaults.yaml")
    if name == "loop":
        (tmp_path / "loop.yaml").symlink_to("defaults.yaml")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "f.yaml").write_text(GOOD)
    with pytest.raises(ScenarioError, match=r"^defaults.yaml: cannot be read: ") as error:
        load_file(tmp_path / "below" / "f.yaml", tmp_path)
    assert len(error.value.problems) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(GOOD)
    (tmp_path / "f.yaml").chmod(0)
    with pytest.raises(ScenarioError, match="cannot be read: Permission denied"):
        load_file(tmp_path / "f.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, mode: int) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "f.yaml").write_text(GOOD)
    (tmp_path / "below").chmod(mode)
    try:
        with pytest.raises(ScenarioError, match="cannot be read: Permission denied"):
            pytest_federated.load_scenarios(tmp_path)
    finally:
        (tmp_path / "below").chmod(0o700)


# Everything that reads a scenario file


@pytest.mark.parametrize("command", ["check", "describe", "calibrate", "prune"])
@pytest.mark.parametrize("kind", ["a matrix", "the key null"])
def test_every_command_refuses_hostile_files(
    tmp_path: Path, command: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.ini").touch()
    file = tmp_path / "f.yaml"
    file.write_text(GOOD + HOSTILE[kind][0])
    assert main([command, str(file)]) == 1
    error = capsys.readouterr().err
    assert HOSTILE[kind][1] in error and len(error.splitlines()) < 5


@pytest.mark.parametrize(
    "how",
    [
        ("-n0",),
        *(pytest.param(how, marks=pytest.mark.slow) for how in (("-n2",), ("--collect-only",))),
    ],
)
def test_pytest_reports_all_hostile_files_at_once(
    pytester: pytest.Pytester, how: tuple[str, ...]
) -> None:
    pytester.makeini("[pytest]")
    folder = pytester.path / "scenarios"
    folder.mkdir()
    wanted = ["lists in lists", "a matrix", "the key null", "the value 2020-13-4", "300 ["]
    for place, kind in enumerate(wanted):
        text = GOOD.replace("tiny", f"tiny{place}") + HOSTILE[kind][0]
        (folder / f"f{place}.yaml").write_text(text)
    strange = _strange(folder)
    run = pytester.runpytest_inprocess("-p", "no:cacheprovider", *how)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    output = f"{run.stdout}{run.stderr}"
    assert "INTERNALERROR" not in output and "Traceback" not in output
    assert "problem(s) in scenario files" in output
    for kind in wanted:
        assert HOSTILE[kind][1] in output
    for name, reason in strange.items():
        assert f"scenarios/{name}.yaml: cannot be read: {reason}" in output
