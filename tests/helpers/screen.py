"""What a terminal shows after the text and the control sequences that pytest and Rich write."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


def without_styles(output: str) -> str:
    """Returns a text without control sequences."""
    return re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", output)


def screen(output: str) -> list[str]:
    """Returns the lines of a terminal that is high and wide enough to keep all of them.

    It knows colors, the cursor's ways up and to the right, and erasing a line, and no other
    sequence.
    """
    lines, row, column = [""], 0, 0
    for argument, command, at_start, is_next, text in _CONTROL.findall(output):
        if is_next:
            row, column = row + 1, 0
        elif at_start:
            column = 0
        elif command == "A":
            row -= int(argument)
        elif command == "C":
            column += int(argument)
        elif command == "K":
            lines[row] = ""
        elif text:
            before = lines[row].ljust(column)
            lines[row] = before[:column] + text + before[column + len(text) :]
            column += len(text)
        else:
            assert command in "mhl", f"{command} is not known here"
        while len(lines) <= row:
            lines.append("")
    return [line.rstrip() for line in lines]
