"""JSON without its loose ends: plain finite values out; no unknown key, no key twice, no NaN and no wrong type in.

``msgspec`` validates types, but it ignores unknown keys, takes the last of two equal keys and writes NaN as null:
what it leaves open is closed here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import itertools
import json
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pytest_sdbatch.errors import RunFileError

T = TypeVar("T")

LARGEST = 2**63  # what other readers of JSON hold in an integer; nanoseconds of 292 years
_SCALARS = {int, bool, type(None)}
_MANY = 100_000  # objects, to look at which takes the collector as long as moving them


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

    Text that :func:`append_json` wrote is read at the speed of msgspec: written again it gives the same bytes, so no
    key appeared twice. Any other text is read by the standard library, which tells what is wrong where.

    Raises:
        RunFileError: for text that is no JSON, a key that appears twice in one object, or a number that is not
            finite; names the place.

    """
    if not text or text.isspace():
        raise RunFileError("it is empty", why="its writer was stopped, or the disk was full")
    import msgspec

    with contextlib.suppress(msgspec.DecodeError, RecursionError, ValueError):
        value = msgspec.json.decode(text)
        if _encoder().encode(value) == text.replace(b"\n", b""):
            return value
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_object)
        _check(value, "")
    except RecursionError:
        raise RunFileError("it is nested too deeply to be a run file") from None
    except ValueError as error:  # also UnicodeDecodeError, and integers of thousands of digits
        raise RunFileError("it is no JSON", why=_why_no_json(error)) from None
    return value


def _why_no_json(error: ValueError) -> str:
    """Return what *error* tells somebody who may have named the wrong file, with the place."""
    if isinstance(error, json.JSONDecodeError):
        what = f"{error.msg[:1].lower()}{error.msg[1:]}".removesuffix(" at")
        found = f"{what} at line {error.lineno}, column {error.colno}"
    elif isinstance(error, UnicodeDecodeError):
        found = f"no text in UTF-8 at byte {error.start + 1}"
    else:
        return str(error)
    return f"it is another kind of file, or was cut short: {found}"


def append_json(value: object, text: bytearray) -> None:
    """Append *value*, plain and finite, to *text* as JSON on one line, keys in their order, ASCII."""
    before = len(text)
    _encoder().encode_into(value, text, -1)
    if not text[before:].isascii():  # some readers open files in the encoding of their system
        text[before:] = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


@functools.cache
def _encoder() -> Any:
    import msgspec

    return msgspec.json.Encoder()


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Pause Python's collector of cycles while a great many objects without any are made: it takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # What was frozen stays so; to ask for it takes as long as that is much, so that few objects are left alone.
            if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                # To the old ones: else the collector's first step is to look at each of them.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def is_plain(values: Iterable[object]) -> bool:
    """Return whether each of *values* is a scalar that JSON holds as it is; True for most, False for the rest.

    Quick, for the many; False only means that :func:`to_plain` has to look.
    """
    for value in values:
        kind = type(value)
        if kind is str:
            if not value.isascii():  # type: ignore[attr-defined]
                return False
        elif kind is int:
            if not -LARGEST <= value < LARGEST:  # type: ignore[operator]
                return False
        elif kind is not bool and value is not None:
            return False
    return True


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
            _check_text(key, path or "its top")
            _check(item, join(path, key))
    elif isinstance(value, list):
        if not _are_scalars(value, path):
            for index, item in enumerate(value):
                _check(item, f"{path}[{index}]")
    elif isinstance(value, str):
        _check_text(value, path)
    else:
        _number(value, path)


def _check_text(value: str, path: str) -> None:
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RunFileError(f"{path}: a lone surrogate, which is no text ({value!a})")


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


_Check = Callable[[Any, str], None]


def _check_keys(value: object, kind: Any, path: str) -> None:
    """Raise for a key of *value* that no dataclass within *kind* has."""
    check = _check_of(kind)
    if check is not None:
        check(value, path)


@functools.cache
def _check_of(kind: Any) -> _Check | None:
    """Return what looks for unknown keys in a value of *kind*; None where no dataclass is in it."""
    if dataclasses.is_dataclass(kind):
        return _check_of_dataclass(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        checks = [check for argument in arguments if (check := _check_of(argument)) is not None]
        return checks[0] if checks else None
    inner = _check_of(arguments[0]) if origin is tuple else None
    if inner is None:
        return None

    def check_items(value: Any, path: str) -> None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                inner(item, f"{path}[{index}]")

    return check_items


def _check_of_dataclass(kind: Any) -> _Check:
    hints = typing.get_type_hints(kind)
    names = frozenset(field.name for field in dataclasses.fields(kind))
    nested = [(name, check) for name in names if (check := _check_of(hints[name])) is not None]

    def check_object(value: Any, path: str) -> None:
        if isinstance(value, dict):
            if not value.keys() <= names:
                raise RunFileError(f"{join(path, next(key for key in value if key not in names))}: unknown key")
            for name, check in nested:
                if name in value:
                    check(value[name], join(path, name))

    return check_object
