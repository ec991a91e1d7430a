"""What ``sdbatch compare --json`` and ``sdbatch ab --json`` print, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_sdbatch.analysis.verdict import Verdict
from pytest_sdbatch.analysis.verdict_list import VerdictList
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.exclusive import read_whole, reading
from pytest_sdbatch.storage.plain import parse
from pytest_sdbatch.storage.run_file import MOST_BYTES

_SCHEMA = 1
_COUNTED = ("compared", *(word.value for word in Verdict))


def read_verdicts(path: Path) -> VerdictList:
    """Return the verdicts that *path* holds.

    Raises:
        RunFileError: names the file, and the key where one is wrong.

    """
    data = read_whole(path, most_bytes=MOST_BYTES)
    with reading(str(path)):
        return verdicts_of(parse(data))


def verdicts_of(value: Any) -> VerdictList:
    """Return a comparison for machines, parsed, as a list of verdicts. Keys that are not needed are not looked at.

    Raises:
        RunFileError: names the key that is wrong.

    """
    import msgspec

    fix = "make it by: sdbatch compare ... --json > verdicts.json, or sdbatch ab ... --json"
    if not isinstance(value, dict) or "schema" not in value or "cases" not in value:
        said = value.get("error") if isinstance(value, dict) else None
        raise RunFileError("it holds no verdicts", why=str(said) if said else "", fix=fix)
    if value["schema"] != _SCHEMA:
        raise RunFileError(f"schema: {value['schema']!r}, and this version reads {_SCHEMA}", fix=fix)
    try:
        found = msgspec.convert(value, VerdictList)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        raise RunFileError(f"{place.rstrip('`') or 'it'}: {problem}", fix=fix) from None
    missing = [word for word in _COUNTED if word not in found.counts]
    if missing:
        raise RunFileError(f"counts.{missing[0]}: missing", fix=fix)
    return found
