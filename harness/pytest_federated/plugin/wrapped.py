"""Sentences at the end of a session, as wide as the terminal at most."""

from __future__ import annotations

import textwrap
from typing import Any


def write_wrapped(reporter: Any, text: str, **markup: bool) -> None:
    """Writes lines; on a terminal, what is too long for it goes on further in.

    Args:
        reporter: pytest's terminal reporter.
        text: one line or more.
        markup: colors and the like, as `TerminalReporter.write_line` has them.
    """
    for line in text.split("\n"):
        parts = [line]
        if reporter.isatty:  # in a file a line is easier to find
            indent = line[: len(line) - len(line.lstrip())]
            parts = textwrap.wrap(
                line,
                reporter._tw.fullwidth,
                subsequent_indent=f"{indent}  ",
                break_long_words=False,  # a path is to be copied
                break_on_hyphens=False,
            )
        for part in parts:
            reporter.write_line(part, **markup)
