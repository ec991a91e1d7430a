"""JSON without its loose ends: plain finite values out; no key twice and no NaN in.

``msgspec`` takes the last of two equal keys and writes NaN as null: what it leaves open is closed here, and in
:mod:`pytest_sdbatch.storage.strict` that it takes keys which nobody knows.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import json
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_sdbatch.errors import RunFileError

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
    if (value := parse_as_written(text, Any)) is not None:
        return value
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_object)
        _check(value, "")
    except RecursionError:
        raise RunFileError("it is nested too deeply to be a run file") from None
    except ValueError as error:  # also UnicodeDecodeError, and integers of thousands of digits
        raise RunFileError("it is no JSON", why=_why_no_json(error)) from None
    return value


def parse_as_written(text: bytes, kind: Any) -> Any:
    """Return the JSON document *text* as *kind*, at the speed of msgspec, where it is as :func:`append_json` wrote it.

    Written again it gives the same bytes, so that no key appeared twice, and none that the structs in *kind* lack.

    Returns:
        None for any other text, be anything wrong with it or not.

    """
    import msgspec

    try:
        value = msgspec.json.decode(text, type=kind)
        return value if _encoder().encode(value) == text.replace(b"\n", b"") else None
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


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
