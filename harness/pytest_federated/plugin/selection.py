"""What ``-m`` selects by: tags and markers that exist."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest

from pytest_federated.core.suggestions import suggest


def require_known_tags(
    config: pytest.Config, tags: Iterable[str], markers: Iterable[str] = ()
) -> None:
    """Stops pytest where ``-m`` selects by a name that no scenario has as a tag.

    Names after ``not`` select nothing, and may be unknown: ``-m "not slow"``.

    Args:
        config: of the session, with its registered markers.
        tags: of the scenarios that were collected.
        markers: of other tests, which need not be registered.

    Raises:
        pytest.UsageError: with the name and the nearest one.

    """
    registered = {line.partition(":")[0].partition("(")[0].strip() for line in _markers(config)}
    all_tags = sorted({*tags})
    known = {*all_tags, *markers, *registered}
    for name in _selecting(config.option.markexpr or ""):
        if name not in known:
            raise pytest.UsageError(
                f"-m {config.option.markexpr}: no scenario has the tag {name!r}; "
                + (suggest(name, all_tags) if all_tags else "none has any")
            )


def _markers(config: pytest.Config) -> list[str]:
    return config.getini("markers")


def _selecting(expression: str) -> Iterator[str]:
    """Yields the names that an expression asks for, without those after ``not``."""
    try:
        yield from _names(ast.parse(expression.strip(), mode="eval").body, True)
    except SyntaxError:  # pytest says what is wrong
        return


def _names(node: ast.expr, is_asked_for: bool) -> Iterator[str]:
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _names(value, is_asked_for)
    elif isinstance(node, ast.UnaryOp):
        yield from _names(node.operand, not is_asked_for)
    elif isinstance(node, ast.Call):  # a marker with arguments
        yield from _names(node.func, is_asked_for)
    elif isinstance(node, ast.Name) and is_asked_for:
        yield node.id
