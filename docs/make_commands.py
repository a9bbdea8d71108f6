"""Writes docs/options.md and docs/commands.md: the options of pytest, and the command's help.

Run this after a change to an option or a subcommand: ``uv run python docs/make_commands.py [DIR]``.
test_documentation.py compares the committed pages with what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Union

import click
from pytest_federated.__main__ import command
from pytest_federated.plugin.options import SETTINGS, SWITCHES, Setting, Switch

_MADE = "<!-- Made by docs/make_commands.py; not edited by hand. -->"

OPTIONS = f"""\
# Options of pytest

{_MADE}

pytest-federated adds these options to pytest. Each is also a key of `[tool.pytest.ini_options]` in
`pyproject.toml` (or of `pytest.ini`), with underscores: `fed_report = "reports"`. The command line
takes precedence.

| option | what it does |
|---|---|
"""

REST = """\
| `-vv` | show a line for each round, with losses and accuracies, and all that TensorFlow prints |

The key `fed_files` lists the patterns of scenario files, relative to the root folder. By default
these are all below a folder named `scenarios`, and `*.scenario.yaml`. pytest's own options work as
usual: `-k` and `-m` select scenarios, `-x` stops at the first that fails, `--lf` runs those that
failed last, `-n 2` runs them on two cores (pytest-xdist).
"""

# Where an option is explained.
SEE = {
    "--fed-against": "judging.md#against-a-revision",
    "--fed-baseline": "judging.md#baselines",
    "--fed-checkpoint": "scaling.md#long-trainings",
    "--fed-decide": "judging.md#adding-seeds-until-a-scenario-is-decided",
    "--fed-executor": "scaling.md#whole-trainings-on-a-cluster",
    "--fed-inconclusive": "judging.md#mean-interval-verdict",
    "--fed-margin": "judging.md#baselines",
    "--fed-mlflow": "reports.md#other-tools",
    "--fed-no-user-code": "security.md#code-by-name",
    "--fed-report": "reports.md#the-report",
    "--fed-resume": "scaling.md#long-trainings",
    "--fed-save-models": "models.md#the-final-model",
    "--fed-tensorboard": "reports.md#other-tools",
    "--fed-timeout": "scaling.md#long-trainings",
    "--fed-workers": "scaling.md#several-machines",
    "--fed-workers-tls": "scaling.md#several-machines",
}

COMMANDS = f"""\
# The command

{_MADE}

`pytest-federated` checks, describes and compares; pytest trains and judges. Only `calibrate`,
`init --calibrate` and `worker` need TensorFlow. [Installing](installing.md#shell-completion) shows
how to complete it in a shell.
"""


def main() -> None:
    """Writes the pages into the folder named on the command line, or into this one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    options: list[Union[Setting, Switch]] = sorted(
        (*SETTINGS, *SWITCHES), key=lambda option: option.flag
    )
    rows = "".join(f"| `{_usage(o)}` | {_help(o.flag, o.help)} |\n" for o in options)
    (folder / "options.md").write_text(OPTIONS + rows + REST, encoding="utf-8")
    (folder / "commands.md").write_text("\n".join([COMMANDS, *_chapters()]), encoding="utf-8")


def _usage(option: Union[Setting, Switch]) -> str:
    """Returns an option with its value, ready for a cell of a table."""
    if isinstance(option, Switch):
        return option.flag
    value = option.metavar.replace("|", "\\|")
    return f"{option.flag}[={value}]" if option.default else f"{option.flag}={value}"


def _help(flag: str, text: str) -> str:
    more = f"; see [{SEE[flag].partition('.')[0]}]({SEE[flag]})" if flag in SEE else ""
    return text.replace("|", "\\|") + more


def _chapters() -> list[str]:
    """Returns a section for each subcommand, with what ``--help`` prints on 80 columns."""
    context = click.Context(command, info_name=command.name, terminal_width=80)
    chapters: list[str] = []
    for name in command.list_commands(context):
        subcommand = command.get_command(context, name)
        assert subcommand
        inner = click.Context(subcommand, info_name=name, parent=context, terminal_width=80)
        chapters.append(f"## {name}\n\n```text\n{subcommand.get_help(inner)}\n```\n")
    return chapters


if __name__ == "__main__":
    main()
