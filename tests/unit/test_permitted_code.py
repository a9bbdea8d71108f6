"""Scenario files may name code of the user or of installed packages, but not of Python itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
from pytest_federated.__main__ import main
from pytest_federated.core.errors import DataError, ModelError
from pytest_federated.registry.concepts import concepts
from pytest_federated.training.models.model import models
from pytest_federated.user.functions import UserFunction, load, require
from pytest_federated.user.installed import STANDARD, standard_names
from pytest_federated.user.modules import own_folders
from pytest_federated.user.permitted import NotPermitted
from scenario_texts import GOOD, training

# Every key that names code, by registry, entry and key.
TEXTS = {
    ("datasets", "tff", "tff"): GOOD.replace("dataset: digits", "dataset: {tff: 'NAME'}"),
    ("models", "keras", "keras"): GOOD.replace("mlp", "{keras: 'NAME'}"),
    ("models", "functional", "functional"): GOOD.replace("mlp", "{functional: 'NAME'}"),
    ("models", "variable", "variable"): GOOD.replace("mlp", "{variable: 'NAME'}"),
    ("algorithms", "tff", "tff"): training("algorithm: {tff: 'NAME'}"),
    ("aggregators", "tff", "tff"): training("aggregator: {tff: 'NAME'}"),
    ("optimizers", "tff", "tff"): training("client_optimizer: {tff: 'NAME'}"),
    ("metrics", "custom", "function"): GOOD
    + "expect: {custom: {function: 'NAME', args: {}, at_least: 0}}\n",
}
NAMES = ["os:system", "subprocess:run", "shutil:rmtree", "builtins:eval", "os.path:join"]
OF_PYTHON = "which is a part of Python; name a function of your own, or of an installed package"


def test_these_are_all_keys_that_name_code() -> None:
    (mark,) = (m for m in get_args(UserFunction) if type(m).__name__ == "_IsCode")
    found = {
        (plural, name, key)
        for plural, registry in concepts().items()
        for name in registry.names()
        for key, field in registry[name].params.model_fields.items()
        if mark in field.metadata
    }
    assert found == {*TEXTS, ("expectations", "custom", "function")}  # every metric is one


@pytest.mark.parametrize("text", TEXTS.values(), ids=map("-".join, TEXTS))
@pytest.mark.parametrize("name", NAMES)
def test_code_of_python_is_refused_in_every_key(
    text: str, name: str, problems: Callable[..., list[str]]
) -> None:
    (said,) = problems(text.replace("NAME", name))
    assert said.startswith("f.yaml:")
    assert said.endswith(f": got {name!r}, {OF_PYTHON}")


def test_each_module_of_python_is_refused() -> None:
    for module in STANDARD:
        with pytest.raises(NotPermitted, match="part of Python"):
            load(f"{module}:f")


def test_modules_of_older_pythons_are_found_on_disk() -> None:
    """`sys.stdlib_module_names` came with Python 3.10."""
    on_disk = standard_names() | set(sys.builtin_module_names)
    assert {n for n in sys.stdlib_module_names if find_spec(n)} <= on_disk
    assert not {"numpy", "pytest", "test", "LICENSE"} & on_disk


def test_a_file_of_the_user_may_be_named_like_a_module_of_python(
    tmp_path: Path, problems: Callable[..., list[str]]
) -> None:
    text = GOOD.replace("mlp", "{keras: 'random:f'}")
    (said,) = problems(text)
    assert said == f"f.yaml:5: model.keras: got 'random:f', {OF_PYTHON}"
    (tmp_path / "random.py").write_text("def f(): return 3")
    assert problems(text) == []
    with own_folders(tmp_path):
        assert load("random:f")() == 3
    with own_folders(tmp_path / "elsewhere"), pytest.raises(NotPermitted):
        load("random:f")


PACKAGE = """
from functools import partial
from os import system
from subprocess import Popen, check_call

def function(): pass
class Class: pass
bound = partial(function)
"""


def test_packages_offer_only_their_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "fed_offers.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(packages)
    for name in ("function", "Class", "bound"):
        assert load(f"fed_offers:{name}")
    for name in ("system", "check_call", "Popen"):
        with pytest.raises(NotPermitted, match=f"got 'fed_offers:{name}', which is a part of"):
            load(f"fed_offers:{name}")
    # What the user's files offer is up to the user.
    (tmp_path / "fed_mine.py").write_text(PACKAGE)
    with own_folders(tmp_path):
        assert load("fed_mine:check_call")


@pytest.mark.parametrize("kind", [ModelError, DataError])
def test_the_error_in_a_run_is_one_line(kind: type[ModelError]) -> None:
    with pytest.raises(kind) as error:
        require("os:system", "model.keras", kind)
    assert str(error.value) == f"model.keras: got 'os:system', {OF_PYTHON}"


# --fed-no-user-code, and --no-user-code of the commands

MINE = GOOD.replace("mlp", "{keras: 'mine:f'}")
REFUSED = "got 'mine:f'; no code of the user may be named"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scenarios, one of which names code that must not run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "mine.py").write_text("raise SystemExit('the code has run')\n\ndef f(): ...")
    (tmp_path / "scenarios/a.yaml").write_text(GOOD)
    (tmp_path / "scenarios/b.yaml").write_text(MINE.replace("tiny", "mine"))
    return tmp_path


@pytest.mark.parametrize("arguments", [("check", "scenarios"), ("describe", "scenarios/b.yaml")])
def test_commands_refuse_code(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert main([*arguments, "--no-user-code"]) == 1
    said = capsys.readouterr().err
    assert said == f"scenarios/b.yaml:5: model.keras: {REFUSED} (--no-user-code)\n"
    assert main(["check", "scenarios"]) == 0
    assert main(["check", "scenarios/a.yaml", "--no-user-code"]) == 0


def test_code_is_refused_in_every_key_that_names_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in TEXTS.values():
        (project / "scenarios/b.yaml").write_text(text.replace("NAME", "mine:f"))
        assert main(["check", "scenarios/b.yaml"]) == 0
        assert main(["check", "scenarios/b.yaml", "--no-user-code"]) == 1
        said = capsys.readouterr().err
        assert said.startswith("scenarios/b.yaml:") and said.count("\n") == 1
        assert said.endswith(f": {REFUSED} (--no-user-code)\n")


def test_code_in_defaults_and_in_a_matrix_is_refused_there(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "scenarios/defaults.yaml").write_text("model: {keras: 'mine:f'}\n")
    (project / "scenarios/a.yaml").write_text(GOOD.replace("model: mlp\n", ""))
    (project / "scenarios/b.yaml").write_text(
        GOOD.replace("tiny", "mine") + "matrix: {model: [mlp, {keras: 'mine:f'}]}\n"
    )
    assert main(["check", "scenarios", "--no-user-code"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"scenarios/b.yaml:7: model.keras: {REFUSED} (--no-user-code)",
        f"scenarios/defaults.yaml:1: model.keras: {REFUSED} (--no-user-code)",
    ]


@pytest.mark.parametrize("more", [("--fed-no-user-code",), ("-o", "fed_no_user_code=true")])
def test_pytest_refuses_code_before_anything_runs(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    monkeypatch.chdir(project)
    arguments = ("scenarios", "--collect-only", "-q", "-p", "no:cacheprovider")
    done = pytester.runpytest_inprocess(*arguments, "--rootdir", str(project), *more)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(
        [
            "ERROR: 1 problem(s) in scenario files",
            f"  scenarios/b.yaml:5: model.keras: {REFUSED} (--fed-no-user-code)",
        ]
    )
    done = pytester.runpytest_inprocess(*arguments, "--rootdir", str(project))
    assert done.ret == pytest.ExitCode.OK


def test_the_controller_of_xdist_refuses_code_too(project: Path, pytester: pytest.Pytester) -> None:
    from pytest_federated.plugin.collection import check_files

    config = pytester.parseconfig(str(project / "scenarios"), "--fed-no-user-code")
    with pytest.raises(pytest.UsageError, match=r"b\.yaml:5: model\.keras: .*no code of the user"):
        check_files(config)


def test_a_registered_entry_is_not_code_that_a_scenario_names(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(models, "_entries", models.entries())  # restored afterwards
    (project / "conftest.py").write_text(
        "import pytest_federated\n"
        "@pytest_federated.model('registered')\n"
        "def registered(shape): ...\n"
    )
    (project / "scenarios/b.yaml").write_text(
        GOOD.replace("mlp", "registered").replace("tiny", "other")
    )
    done = pytester.runpytest_inprocess(
        *("scenarios", "--collect-only", "-q", "-p", "no:cacheprovider"),
        *("--rootdir", str(project), "--fed-no-user-code"),
    )
    assert done.ret == pytest.ExitCode.OK
