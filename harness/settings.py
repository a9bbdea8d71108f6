"""The base of everything that a scenario file can set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A mapping in a scenario file: no unknown keys, no silent conversions, no later changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def problem(key: str, message: str) -> PydanticCustomError:
    """An error at `key` of the section that is being validated; `message` is for the reader."""
    return PydanticCustomError("scenario", "{message}", {"message": message, "key": key})
