"""The user's source code, and what it imports: read, not imported."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from importlib.machinery import SOURCE_SUFFIXES
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A file of the user's code, and its content."""

    file: Path
    content: bytes

    @property
    def is_python(self) -> bool:
        """Whether it can be read, unlike bytecode and compiled extensions."""
        return self.file.suffix in SOURCE_SUFFIXES


Sources = Mapping[str, Source]  # by module name


class Node(NamedTuple):
    """A module's source, and the names of the modules that it may import."""

    source: Source
    imports: Sequence[str]


@functools.lru_cache(maxsize=1 << 12)
def imports_of(content: bytes, package: str) -> tuple[str, ...]:
    """Returns the names of the modules that the source of a module in `package` may import."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # the error of its import says more
        return ()
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(filter(None, [*above, base]))
            if base:
                names.append(base)
            names += (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
    return tuple(sorted(set(names)))
