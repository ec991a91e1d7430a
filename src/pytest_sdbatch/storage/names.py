"""Names of files out of text that others wrote: test ids, model names, names of baselines."""

from __future__ import annotations

import hashlib
import json
import re

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Environment
from pytest_sdbatch.storage.codec import encode_environment

_LONGEST = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]|^\.|\.$")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|$)", re.IGNORECASE)  # by Windows, with any suffix
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9+_-])?")


def safe_file_name(text: str) -> str:
    """Return a file name for *text*: letters, digits and ``._+-%~``, at most 100 characters, on every system a name.

    Distinct texts give distinct names, also on file systems that ignore case.
    """
    name = _UNSAFE.sub(lambda match: _escape(match[0]), text)
    if _RESERVED.match(name):
        name = _escape(name[0]) + name[1:]
    # Only names that carry a digest hold "~": it is escaped above.
    if len(name) > _LONGEST or text != text.lower():
        name = f"{name[: _LONGEST - 17]}~{_digest(text)[:16]}"
    return name or "%"


def check_name(name: str) -> None:
    """Raise RunFileError for a name under which no run can be stored."""
    if _NAME.fullmatch(name) is None or _RESERVED.match(name):
        raise RunFileError(
            f"{name!r} is no name for a stored run",
            why="it names a folder: letters, digits and ._+- only, first a letter or digit, at most 64 in all",
            fix="use a name such as main",
        )


def baseline_key(name: str, environment: Environment) -> str:
    """Return the key of the baseline *name* of the device of *environment*: ``<name>/<device>-<uuid8>.json``.

    Raises:
        RunFileError: for a name that is no plain folder name.

    """
    check_name(name)
    return f"{name}/{device_file(environment)}"


def device_file(environment: Environment) -> str:
    """Return what every baseline of the device of *environment* is called, whatever its name.

    ``<device>-<uuid8>.json``; ``uuid8`` is a digest of all that must match before two records are compared.
    """
    facts = encode_environment(environment)["must_match"]
    label = next((str(facts[key]) for key in ("device_name", "device_kind") if facts.get(key)), "device")
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40].strip("-") or "device"
    return f"{slug}-{_digest(json.dumps(facts, sort_keys=True))[:8]}.json"


def _escape(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
