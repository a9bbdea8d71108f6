"""Records as files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.files import read_bytes, write_text
from pytest_federated.core.ordering import natural
from pytest_federated.core.schema import first_problem
from pytest_federated.results.record import Result
from pytest_federated.results.tuning import without_tuned

FOLDER, UNREACHED = "records", "unreached"
_OF_TRAININGS = ("data", "clients", "model", "training")  # sections that decide the figures
_JUDGING = ("expect", "baseline")  # by which they are judged
_TEXTS = ("description", "tags", "comparison", *_JUDGING)  # what is said of a scenario

# Bytes of a file's name that are taken from an id: with what plots and temporary files add, it
# stays below the 255 of most file systems, and below the 143 of encrypted ones.
LONGEST_NAME = 100
_LARGEST = 200_000_000  # bytes of a record, far above real use


def _without_nan(value: Any) -> Any:
    """Returns figures that are not finite as text, which pydantic reads back: JSON has no NaN."""
    if isinstance(value, dict):
        mapping = cast(dict[str, Any], value)
        return {k: _without_nan(v) for k, v in mapping.items()}
    if isinstance(value, list):
        values = cast(list[Any], value)
        return [_without_nan(v) for v in values]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def file_name(result_id: str) -> str:
    """Returns the file name of a record: ``name[alpha=0.1]`` becomes ``name-alpha=0.1.json``.

    A long id is cut short, and a hash keeps its name unique.
    """
    plain = result_id.replace("[", "-").replace("]", "")
    safe = "".join(c if c.isalnum() or c in "-_.=," else "_" for c in plain)
    safe = safe.encode()[:LONGEST_NAME].decode(errors="ignore")
    if safe != plain:  # another id may have the same text now
        safe += "-" + hashlib.sha256(result_id.encode()).hexdigest()[:8]
    return safe + ".json"


def json_text(record: BaseModel) -> str:
    """Returns JSON that reads back as the same record; the same text for the same record."""
    data = _without_nan(record.model_dump(mode="json"))
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def record_file(result_id: str, folder: Path) -> Path:
    """Returns the path of a scenario's record below the folder of a report."""
    return folder / FOLDER / file_name(result_id)


def write_result(result: Result, folder: Path) -> Path:
    """Writes one record below `folder` and returns its path."""
    path = record_file(result.id, folder)
    write_text(path, json_text(result))
    mark = _mark_file(result.id, folder)
    with contextlib.suppress(OSError):  # there is none
        mark.unlink()
        mark.parent.rmdir()  # unless there are others
    return path


def mark_unreached(result: Result, folder: Path) -> None:
    """Notes that a scenario was collected and has not ended, until its record is written.

    So a session that is killed leaves no older record of it that seems to be its own.
    """
    with contextlib.suppress(OSError):  # then the record cannot be written either, which is said
        write_text(_mark_file(result.id, folder), json_text(result))


def _mark_file(result_id: str, folder: Path) -> Path:
    return folder / FOLDER / UNREACHED / file_name(result_id)


def with_earlier_figures(result: Result, folder: Path) -> Result:
    """Returns the result; if the scenario did not run now, with the figures of its record.

    So missing data or a Ctrl-C does not remove the figures of an earlier run. Figures of other
    settings are removed, and so are the verdicts if something else is expected now, and what
    compares them with a baseline if it has other margins now.
    """
    if result.histories or result.status not in ("skipped", "not reached"):
        return result
    try:
        earlier = read_result(record_file(result.id, folder))
    except FederatedError:  # there is none, or it is damaged
        return result
    if earlier.id != result.id or not earlier.histories or not _has_same_trainings(earlier, result):
        return result
    now = {key: result.settings[key] for key in _TEXTS if key in result.settings}
    settings = {key: value for key, value in earlier.settings.items() if key not in _TEXTS}
    is_as_before = {k: (earlier.settings.get(k) or {}) == (now.get(k) or {}) for k in _JUDGING}
    return result.model_copy(
        update={
            "file": result.file or earlier.file,
            "settings": {**settings, **now},
            "histories": earlier.histories,
            "tuning": earlier.tuning,
            "verdicts": earlier.verdicts if all(is_as_before.values()) else (),
            "versions": earlier.versions,
            "compared": earlier.compared if is_as_before["baseline"] else (),
        }
    )


def _has_same_trainings(one: Result, two: Result) -> bool:
    """Returns whether the trainings of both have the same settings, whichever seeds they ran."""
    if one.settings.get("tune") != two.settings.get("tune"):
        return False
    before, now = without_tuned(one.settings), without_tuned(two.settings)
    return all(_agree(before.get(part), now.get(part)) for part in _OF_TRAININGS)


def _agree(one: Any, two: Any) -> bool:
    """Returns whether two settings are the same, keys aside that only one version knows.

    A setting that the run itself decides, such as what the outputs of a model are, is null before.
    """
    if isinstance(one, dict) and isinstance(two, dict):
        before, now = cast(dict[str, Any], one), cast(dict[str, Any], two)
        return all(
            _agree(before[key], now[key]) or (key == "outputs" and now[key] is None)
            for key in before.keys() & now.keys()
        )
    return one == two


def read_results(folder: Path) -> list[Result]:
    """Returns all records below `folder`, sorted by id.

    Scenarios that a killed session did not reach are not reached, whatever older records say.

    Raises:
        FederatedError: there are none, or one of them is not a record.

    """
    files = sorted((folder / FOLDER).glob("*.json"))
    marks = sorted((folder / FOLDER / UNREACHED).glob("*.json"))
    if not files and not marks:
        raise FederatedError(
            f"{folder / FOLDER}: no records there; make some with --fed-report={folder}"
        )
    results = {r.id: r for r in map(read_result, files)}
    results |= {r.id: with_earlier_figures(r, folder) for r in map(read_result, marks)}
    return sorted(results.values(), key=lambda r: natural(r.id))


def count_records(folder: Path) -> int:
    """Returns the number of records below `folder`."""
    return sum(1 for _ in (folder / FOLDER).glob("*.json"))


def read_result(path: Path) -> Result:
    """Reads one record.

    Raises:
        FederatedError: it cannot be read, or is not a record.

    """
    try:
        return parse_result(read_bytes(path, _LARGEST), str(path))
    except OSError as error:
        raise FederatedError(f"{path}: cannot be read: {error.strerror}") from error


def parse_result(text: bytes, name: str) -> Result:
    """Parses the content of a file of this name as a record.

    Raises:
        FederatedError: it is not a record.

    """
    try:
        return Result.model_validate_json(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FederatedError(f"{name}: not a result record (not UTF-8)") from error
    except ValidationError as error:
        raise FederatedError(f"{name}: not a result record ({first_problem(error)})") from error
