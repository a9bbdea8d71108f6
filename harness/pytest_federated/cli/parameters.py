"""Types of parameters that several commands have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

# A file or folder; each command checks it and says what is wrong.
PATH = click.Path(path_type=Path)

data_cache = click.option(
    "--data-cache", type=PATH, metavar="DIR", help="Where downloaded data is kept."
)

_NO_USER_CODE = "--no-user-code"


def no_user_code(command: _Command) -> _Command:
    """Adds the switch; its value is what `permitted.no_code` takes."""
    return click.option(
        _NO_USER_CODE,
        flag_value=_NO_USER_CODE,
        default=None,
        help="Refuse scenarios that name code (module:function).",
    )(command)


class LazyChoice(click.Choice):  # pyright: ignore[reportMissingTypeArgument]
    """A choice among names that are looked up only when they are needed."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        """`names` returns the choices, and imports what it needs for that."""
        self._names = names
        self.case_sensitive = True

    @property
    def choices(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All names."""
        return tuple(self._names())


class Number(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A number with a range."""

    def __init__(
        self, kind: type[Any], is_allowed: Callable[[Any], bool], requirement: str
    ) -> None:
        """`requirement` follows "got 'x'; " in the message."""
        self.name = kind.__name__
        self._kind, self._is_allowed, self._requirement = kind, is_allowed, requirement

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> Any:
        try:
            number = self._kind(value)
        except ValueError:
            number = None
        if number is None or not self._is_allowed(number):
            self.fail(f"got {value!r}; {self._requirement}", param, ctx)
        return number
