"""Writes docs/failure.svg, README's picture of a scenario that fails in a terminal.

``uv run python docs/make_picture.py [DIR]`` trains it and draws what pytest prints.
test_documentation.py compares the committed picture with what this writes, apart from figures,
which may be others on another machine.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

SCENARIO = """\
schema: 1
name: digits-skew
data: {dataset: digits}
clients:
  count: 10
  split: {kind: dirichlet, min_examples: 10}
  per_round: 5
model: {kind: mlp, hidden: [32]}
training: {rounds: 10, local_epochs: 5}
seeds: [0, 1, 2, 3, 4]
matrix:
  clients.split.alpha: [0.1, 100]
expect:
  accuracy: {at_least: 0.9}
  loss: {at_most: 0.4}
"""
WIDTH = 98
# A picture must not fetch a font: it uses what the reader's machine has.
_STYLE = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    """Writes the picture into the folder named on the command line, or into this one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    (folder / "failure.svg").write_text(_picture(_printed()), encoding="utf-8")


def _printed() -> list[str]:
    """Returns the lines that pytest prints for the scenario, from its results on, with colors."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "scenarios").mkdir()
        (folder / "scenarios/digits.yaml").write_text(SCENARIO, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "scenarios", "--color=yes"]
        command += ["-p", "no:cacheprovider", "-W", "ignore", "--no-header", "--show-capture=no"]
        env = {**os.environ, "COLUMNS": str(WIDTH), "PYTEST_ADDOPTS": "-p no:randomly"}
        with (folder / "printed").open("w+", encoding="utf-8") as out:
            ended = subprocess.run(
                command, cwd=folder, stdout=out, stderr=subprocess.DEVNULL, env=env
            )
            out.seek(0)
            lines = out.read().splitlines()
    if ended.returncode != 1:
        raise SystemExit("\n".join([*lines, f"pytest ended with code {ended.returncode}, not 1"]))
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]
    (begin,) = (i for i, line in enumerate(plain) if line.strip("= ") == "FAILURES")
    return lines[begin:-1]  # without the last line, which has the time


def _picture(lines: list[str]) -> str:
    console = Console(
        width=WIDTH, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in ["\x1b[1m$ pytest scenarios\x1b[0m", *lines]:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="pytest", code_format=_STYLE, unique_id="failure")
    return "\n".join(line.rstrip() for line in svg.replace("Fira Code, ", "").splitlines()) + "\n"


if __name__ == "__main__":
    main()
