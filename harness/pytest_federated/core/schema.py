"""The base of everything that a scenario file can set, and of figures in records."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


def rounded(value: float) -> float:
    """Returns six significant digits: what float32 can hold, and no noise in committed records."""
    return float(f"{value:.6g}")


def _rounded(value: object) -> object:
    return rounded(value) if isinstance(value, float) else value


def is_number(value: object) -> bool:
    """Returns whether a value that a function gave is a number, which a bool is not."""
    return not isinstance(value, bool) and isinstance(value, Real)


class _Rounded:
    """Annotates a figure, which is rounded where it is made; JSON has what was rounded before."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        made = core_schema.no_info_before_validator_function(_rounded, schema)
        return core_schema.json_or_python_schema(schema, made)


Figure = Annotated[float, _Rounded()]


@dataclass(frozen=True)
class Usual:
    """Annotates a key with a computed default: `value` is what reports do not mention."""

    value: Any


class Section(BaseModel):
    """A mapping in a scenario file: no unknown keys, no silent conversions, no later changes.

    Its validator is built when it is first needed: a session needs few of the many there are.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=True, defer_build=True
    )


def without_empty(
    model: BaseModel, write: SerializerFunctionWrapHandler, *names: str
) -> dict[str, Any]:
    """Returns a model as data without those of the fields `names` that are empty; 0.0 is a figure.

    They are younger than the format: records of models that do not use them stay as they were.
    """
    written = write(model)
    for name in names:
        if not (value := getattr(model, name)) and not isinstance(value, float):
            written.pop(name, None)
    return written


def problem(key: str, message: str) -> PydanticCustomError:
    """Returns an error at `key`, which may be dotted, of the section that is being validated."""
    return PydanticCustomError("scenario", "{message}", {"message": message, "key": key})


def first_problem(problems: ValidationError) -> str:
    """Returns the first of what pydantic found, in one line of at most 200 characters."""
    first = problems.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return " ".join(f"{place}: {message}".split())[:200].removeprefix(": ")
