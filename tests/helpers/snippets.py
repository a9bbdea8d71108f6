"""The snippets of README and docs: what each is, and where it is.

A block of YAML, Python or another language whose first line names a file (``# my_models.py``) is
that file. A block ``console`` has commands; where one begins with ``$``, other lines are output.
Blocks without a language, or with ``text``, are output.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple, Optional

from markdown_it import MarkdownIt
from paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FILE = re.compile(r"# (?P<name>[\w./-]*\w\.(py|ya?ml|toml))$")
_PROMPT = re.compile(r"\w*\$ ")  # also that of another machine
_PARSER = MarkdownIt("commonmark").disable("inline")  # only blocks count


class Snippet(NamedTuple):
    page: Path
    line: int  # of the first line of the text, in the page
    language: str
    text: str

    @property
    def file(self) -> Optional[str]:
        """The path of the file that this is, if its first line names one."""
        named = _FILE.match(self.text.partition("\n")[0])
        return named["name"] if named else None

    @property
    def has_prompts(self) -> bool:
        """Whether commands begin with a prompt, so that other lines are output."""
        return any(_PROMPT.match(line) for line in self.text.splitlines())

    @property
    def commands(self) -> list[str]:
        """The commands of a block `console`, without prompt."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.has_prompts:
            lines = [_PROMPT.sub("", line) for line in lines if _PROMPT.match(line)]
        return [line for line in lines if line.strip() and not line.startswith("#")]

    @property
    def output(self) -> list[str]:
        """The lines of a block `console` that its commands print; `...` stands for others."""
        if not self.has_prompts:
            return []
        lines = self.text.splitlines()
        return [line for line in lines if line.strip(" .") and not _PROMPT.match(line)]

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@functools.cache  # several test files ask for the same pages, some when they are imported
def snippets(page: Path) -> list[Snippet]:
    tokens = _PARSER.parse(page.read_text(encoding="utf-8"))
    return [
        Snippet(page, token.map[0] + 2, token.info.strip(), token.content)
        for token in tokens
        if token.type == "fence" and token.map
    ]
