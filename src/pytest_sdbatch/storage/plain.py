"""JSON without its loose ends: plain finite values out; no unknown key, no key twice, no NaN and no wrong type in.

``msgspec`` validates types, but it ignores unknown keys, takes the last of two equal keys and writes NaN as null:
what it leaves open is closed here.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
import numbers
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pytest_sdbatch.errors import RunFileError

T = TypeVar("T")

LARGEST = 2**63  # what other readers of JSON hold in an integer; nanoseconds of 292 years
_SCALARS = {int, bool, type(None)}


def to_plain(value: object, path: str = "$") -> Any:
    r"""Return *value* in plain builtins: dict, list, str, int, float, bool, None.

    Subclasses (enums, NumPy scalars) become what they stand for, so that the result survives xdist's wire, and text
    is made encodable (lone surrogates of a file name that is no UTF-8 are written as ``\udcXX``).

    Raises:
        RunFileError: for a number that is not finite or beyond 2**63, or a value that JSON has no form for; names
            the key path below *path*.

    """
    kind = type(value)
    if kind in _SCALARS or kind is float:
        return _number(value, path)
    if isinstance(value, str):
        return str.__str__(value).encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {to_plain(key, path): to_plain(item, join(path, str(key))) for key, item in value.items()}
    if isinstance(value, Sequence):
        items = list(value)
        if _are_scalars(items, path):
            return items
        return [to_plain(item, f"{path}[{index}]") for index, item in enumerate(items)]
    if isinstance(value, numbers.Integral):
        return _number(int(value), path)
    if isinstance(value, numbers.Real):
        return _number(float(value), path)
    raise RunFileError(f"{path}: a {kind.__name__} cannot be stored")


def parse(text: bytes) -> Any:
    """Return the value of a JSON document.

    Raises:
        RunFileError: for text that is no JSON, a key that appears twice in one object, or a number that is not
            finite; names the place.

    """
    if not text.strip():
        raise RunFileError("it is empty", why="its writer was stopped, or the disk was full")
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_object)
        _check(value, "")
    except RecursionError:
        raise RunFileError("it is nested too deeply to be a run file") from None
    except ValueError as error:  # also UnicodeDecodeError, and integers of thousands of digits
        raise RunFileError("it is no JSON", why=str(error)) from None
    return value


def convert(value: object, kind: type[T], path: str) -> T:
    """Return the parsed *value* as the dataclass *kind*.

    Raises:
        RunFileError: for an unknown key, a missing key or a wrong type; names the key path below *path*.

    """
    import msgspec

    _check_keys(value, kind, path)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        raise RunFileError(f"{path}{place.rstrip('`')}: {problem}".removeprefix(".")) from None


def join(path: str, key: str) -> str:
    """Return the path of *key* below *path*."""
    return f"{path}.{key}" if path else key


class _Repeated(dict[str, Any]):
    """An object in which a key appeared twice; kept until its place is known."""

    key = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        repeated = _Repeated(found)
        repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return repeated
    return found


def _check(value: object, path: str) -> None:
    if isinstance(value, dict):
        if isinstance(value, _Repeated):
            raise RunFileError(f"{join(path, value.key)}: appears twice")
        for key, item in value.items():
            _check(item, join(path, key))
    elif isinstance(value, list):
        if not _are_scalars(value, path):
            for index, item in enumerate(value):
                _check(item, f"{path}[{index}]")
    else:
        _number(value, path)


def _are_scalars(values: Sequence[Any], path: str) -> bool:
    """Return whether *values* are a column of good numbers; a column of 30 is quick to see as a whole."""
    kinds = set(map(type, values))
    if kinds == {list}:  # the calls of each round
        values = list(itertools.chain.from_iterable(values))
        kinds = set(map(type, values))
    if kinds <= _SCALARS:
        known = values if None not in values else [value for value in values if value is not None]
        if known and not -LARGEST <= min(known) <= max(known) < LARGEST:
            raise RunFileError(f"{path}: a number beyond 2**63")
        return True
    return kinds == {float} and all(map(math.isfinite, values))


def _number(value: object, path: str) -> object:
    if type(value) is float and not math.isfinite(value):
        raise RunFileError(f"{path}: not a finite number ({value})")
    if type(value) is int and not -LARGEST <= value < LARGEST:
        raise RunFileError(f"{path}: a number beyond 2**63")
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return {f.name: typing.get_type_hints(kind)[f.name] for f in dataclasses.fields(kind)}


def _check_keys(value: object, kind: Any, path: str) -> None:
    """Raise for a key of *value* that no dataclass within *kind* has."""
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = _hints(typing.cast("type", kind))
        for key, item in value.items():
            if key not in hints:
                raise RunFileError(f"{join(path, key)}: unknown key")
            if hints[key] not in (str, int, float, bool):
                _check_keys(item, hints[key], join(path, key))
        return
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for argument in arguments:
            if dataclasses.is_dataclass(argument) or typing.get_origin(argument) is not None:
                _check_keys(value, argument, path)
    elif origin is tuple and isinstance(value, list) and _holds_dataclass(arguments[0]):
        for index, item in enumerate(value):
            _check_keys(item, arguments[0], f"{path}[{index}]")


def _holds_dataclass(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)
