"""Each snippet of README and docs is what a reader can use: fast checks of all, and real sessions.

README, the tutorial and the how-to guides are followed to the letter, in an empty folder.
"""

from __future__ import annotations

import ast
import functools
import importlib
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
import pytest_federated
from jsonschema import Draft202012Validator
from paths import ROOT
from pytest_federated import load_file
from pytest_federated.__main__ import command as pytest_federated_command
from pytest_federated.scenario.json_schema import json_schema
from ruamel.yaml import YAML
from snippets import PAGES, Snippet, snippets
from workflows import problems_of_workflow

GUIDES = [p for p in PAGES if p.name in ("README.md", "tutorial.md") or p.parent.name == "how-to"]
LANGUAGES = Counter(s.language for page in PAGES for s in snippets(page))
ALLOWED_PROGRAMS = {
    *("pytest", "pytest-federated", "python", "git", "uv", "pip", "pre-commit", "docker"),
    *(
        "tensorboard",
        "mlflow",
        "scp",
        "ssh",
        "eval",
        "python3.11",
        "dask",
        "ruff",
        "pyright",
        "mkdocs",
    ),
}


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_every_language_is_checked() -> None:
    checked = {"yaml", "python", "console"}
    output = {"", "text"}
    others = {"toml", "mermaid", "markdown"}  # test_packaging.py, MkDocs, test_update.py
    assert set(LANGUAGES) <= checked | output | others
    assert all(LANGUAGES[language] > 10 for language in checked)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_yaml_is_valid(page: Path, tmp_path: Path) -> None:
    for number, snippet in enumerate(snippets(page)):
        if snippet.language == "yaml":
            for document in YAML(typ="safe", pure=True).load_all(snippet.text):
                check_document(snippet, document, tmp_path / f"{number}.yaml")


# What a fragment of a scenario leaves out.
REST: dict[str, Any] = {
    "schema": 1,
    "name": "fragment",
    "data": {"dataset": "digits"},
    "clients": {"count": 100, "split": {"kind": "dirichlet", "alpha": 1}},
    "model": "mlp",
    "training": {"rounds": 30},
}


@functools.cache
def schema() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def check_document(snippet: Snippet, document: Any, file: Path) -> None:
    if "jobs" in document or "runs" in document:
        assert problems_of_workflow(document) == [], snippet.place
    elif "repos" in document:
        assert all(hook["entry"] for repo in document["repos"] for hook in repo["hooks"])
    elif snippet.page.name != "CONTRIBUTING.md":  # whose entries are registered by its own tests
        assert [error.message for error in schema().iter_errors(document)] == [], snippet.place
        if not (snippet.file or "").endswith("defaults.yaml"):
            YAML().dump(completed(document), file)
            assert load_file(file), snippet.place


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the document with what it leaves out."""
    whole = {**REST, **document}
    for section in ("data", "clients", "training"):
        whole[section] = {**REST[section], **document.get(section, {})}
    if "kmeans" in str(whole["training"].get("algorithm")):
        del whole["model"]
    if "baseline" in document:
        whole.setdefault("expect", {"rounds_to_accuracy": {"target": 0.5, "at_most": 30}})
    return whole


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_python_compiles_and_imports_what_exists(page: Path) -> None:
    for snippet in snippets(page):
        if snippet.language != "python":
            continue
        for node in ast.walk(ast.parse(snippet.text, snippet.place)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pytest_fed"):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, name.name) for name in node.names), snippet.place
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest_federated":
                assert hasattr(pytest_federated, node.attr), snippet.place


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands_have_the_options_that_they_name(page: Path, pytestconfig: pytest.Config) -> None:
    group = pytestconfig._parser.getgroup("federated")
    options = {name for option in group.options for name in option.names()}
    for snippet in snippets(page):
        if snippet.language != "console":
            continue
        for line in snippet.commands:
            for program in programs(line):
                assert program[0] in ALLOWED_PROGRAMS, f"{snippet.place}: {line}"
                if program[0] == "pytest":
                    federated = {a.partition("=")[0] for a in program if a.startswith("--fed-")}
                    assert federated <= options, f"{snippet.place}: {line}"
                if program[0] == "pytest-federated":
                    parsed(program[1:], f"{snippet.place}: {line}")


_WITH_VALUE = ("--group", "--python", "--with")  # options of uv run


def programs(line: str) -> list[list[str]]:
    """Returns the words of each program of a command line, without what starts it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.wordchars += "$%@:,{}[]^+="
    found: list[list[str]] = []
    for between, group in itertools.groupby(lexer, key=lambda word: set(word) <= set("&|;")):
        words = [] if between else list(group)
        if words[:2] == ["sh", "-c"] or words[3:5] == ["sh", "-c"]:
            words = words[-1].split()
        for start in (("git", "bisect", "run"), ("uv", "run")):
            if tuple(words[: len(start)]) == start:
                words = words[len(start) :]
                while words and words[0].startswith("-"):
                    words = words[2 if words[0] in _WITH_VALUE else 1 :]
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words and words[0]:
            found.append(words[: next((i for i, w in enumerate(words) if w in "<>"), None)])
    return found


def parsed(arguments: list[str], place: str) -> None:
    try:
        with click.Context(pytest_federated_command) as context:
            name, subcommand, rest = pytest_federated_command.resolve_command(context, arguments)
            assert subcommand
            subcommand.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        pass
    except click.UsageError as error:
        pytest.fail(f"{place}: {error.format_message()}")


# The guides, followed. Commands with a prompt run; those without are for other machines, or for a
# repository that the page does not make.


@pytest.fixture
def digits_of_emnist(worker: None, tff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the download of EMNIST by TFF's synthetic one, of the same form."""
    emnist = tff.simulation.datasets.emnist
    both = emnist.get_synthetic(), emnist.get_synthetic()
    monkeypatch.setattr(emnist, "load_data", lambda: both)


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_can_be_followed(
    page: Path,
    tff_programs: None,
    in_tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if page.stem == "tutorial":  # whose cells run in this process
        request.getfixturevalue("digits_of_emnist")
        monkeypatch.syspath_prepend(str(in_tmp_path))
    git("init", "-q", "-b", "main")
    if page.stem == "bisect":
        make_history()
    namespace: dict[str, Any] = {}
    exit_code = 0
    for snippet, comment in with_comments(page):
        if wanted := re.fullmatch(r"<!-- exit code (\d+) -->", comment):
            exit_code = int(wanted[1])
        if snippet.file:
            file = in_tmp_path / snippet.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(snippet.text, encoding="utf-8")
            git("add", "-A")
            git("commit", "-q", "-m", snippet.file)
        elif snippet.language == "python":
            exec(compile(snippet.text, snippet.place, "exec"), namespace)
        elif snippet.language == "console" and "$ " in snippet.text[:2]:
            follow(snippet, exit_code)
            exit_code = 0
    sys.modules.pop("my_model", None)


def with_comments(page: Path) -> list[tuple[Snippet, str]]:
    """Returns the snippets, each with the line above it."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [(snippet, lines[snippet.line - 3].strip()) for snippet in snippets(page)]


def follow(snippet: Snippet, exit_code: int) -> None:
    """Runs the commands of a block, the last of which ends with a code, and compares the output.

    Figures may be others on another machine, so each line is compared with zeros for its digits.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = ""
    for number, line in enumerate(commands := snippet.commands):
        with Path("output").open("w+", encoding="utf-8") as out:
            ended = subprocess.run(
                ["bash", "-c", line],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": path, "COLUMNS": "100"},
            )
            out.seek(0)
            output = out.read()
        Path("output").unlink()
        expected = exit_code if number == len(commands) - 1 else 0
        assert ended.returncode == expected, f"{snippet.place}: {line}\n{output}"
        printed += output
    for line in snippet.output:
        assert without_figures(line) in without_figures(printed), f"{snippet.place}\n{printed}"


def without_figures(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"-{2,}", "--", re.sub(r"\d+", "0", text)))


def git(*arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, *arguments], check=True, stdout=subprocess.DEVNULL)


def make_history() -> None:
    """Makes the repository of the guide on bisecting: v1.0 and three commits, the second worse."""
    Path("scenarios").mkdir()
    Path("scenarios/ours.yaml").write_text(
        "schema: 1\nname: ours\ndata: {dataset: digits}\nclients: {count: 5}\n"
        "model: {keras: 'my_models:build'}\ntraining: {rounds: 2, local_epochs: 2}\n"
        "expect: {accuracy: {at_least: 0.5}}\n",
        encoding="utf-8",
    )
    model = (
        "import tensorflow as tf\n\ndef build(input_shape, num_classes):\n"
        "    layers = [tf.keras.layers.InputLayer(input_shape), tf.keras.layers.Flatten()]\n"
        "    output = tf.keras.layers.Dense(num_classes, activation=ACTIVATION)\n"
        "    return tf.keras.Sequential([*layers, output])\n"
    )
    for number, activation in enumerate(("None", "None", "'relu'", "'relu'")):
        text = f"# {number}\n" + model.replace("ACTIVATION", activation)
        Path("my_models.py").write_text(text, encoding="utf-8")
        git("add", "-A")
        git("commit", "-q", "-m", f"Change {number}")
        if number == 0:
            git("tag", "v1.0")
