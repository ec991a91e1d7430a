"""Options as pytest sees them: flags, ini keys in every form a configuration file has, and ``-o``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch import options
from pytest_sdbatch.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    import pytest


_NUMBERS = re.compile(r"[0-9][0-9:x+,]*")  # what a value of an axis looks like, and hardly a file


def add_options(parser: pytest.Parser) -> None:
    """Declare every row of the table: an ini key per spelling, and a flag where the row has one."""
    groups = {name: parser.getgroup(f"sdbatch-{name}", title) for name, title in options.GROUPS.items()}
    for row in options.TABLE:
        for spelling in row.spellings:
            # linelist takes a string and a list alike. TOML's own types are read by _native_toml.
            parser.addini(f"sd_{spelling}", row.help, type="linelist", default=None)
        if row.flag is None:
            continue
        spelled = flags(row)
        text = row.help + (f" (default: {row.default})" if row.default and row.flag else "")
        group = groups[row.group]
        if row.kind == "switch":
            group.addoption(*spelled, dest=_dest(row), action="store_const", const="yes", default=None, help=row.help)
        else:
            action = "append" if row.kind == "files" else "store"  # may be given several times
            group.addoption(
                *spelled, dest=_dest(row), action=action, metavar=row.flag, default=None, help=text.replace("%", "%%")
            )


def read_options(config: pytest.Config) -> options.Options:
    """Return the options in force.

    Raises:
        OptionError: for an unknown ``-o sd_x`` or a text that cannot be read.
    """
    typed = {row.name: config.getoption(_dest(row)) for row in options.TABLE if row.flag is not None}
    resolved = options.resolve(command_line=typed, ini=_ini(config), overrides=_overrides(config))
    resolved.check()
    return resolved


def is_typed(config: pytest.Config, name: str) -> bool:
    """Return whether the option *name*, which has a flag, stands on the command line, as that or behind ``-o``."""
    keys = [item.partition("=")[0] for item in config.getoption("override_ini") or ()]
    return config.getoption(_dest(options.BY_SPELLING[name])) is not None or f"sd_{name}" in keys


def check_words(words: Sequence[str], unknown: Iterable[str]) -> None:
    """Refuse flags that look like ours and are not, and values behind a blank, better than pytest would.

    Args:
        words: of the command line, with what the file and the environment add to it.
        unknown: those of them that no plugin declared.

    Raises:
        OptionError: for the first of them.
    """
    ours = [flag for row in options.TABLE if row.flag is not None for flag in flags(row)]
    for word in unknown:
        flag = word.partition("=")[0]
        if flag.startswith("--sd-"):
            key = flag.removeprefix("--").replace("-", "_")
            fix = did_you_mean(flag, ours) or "see `pytest --help`"
            if key.removeprefix("sd_") in options.BY_SPELLING:
                fix = f"it is an ini key: -o {key}=..."
            raise OptionError(f"unknown option {flag}", fix=fix)
    for flag, value, word in zip(words, words[1:], words[2:], strict=False):
        if flag in ours and _NUMBERS.fullmatch(value) and _NUMBERS.fullmatch(word) and not Path(word).exists():
            raise OptionError(
                f"{flag} {value} {word}: several values are joined by commas", fix=f"{flag}={value},{word}"
            )


def check_file(config: pytest.Config) -> None:
    """Refuse keys of the configuration file that look like ours and are not: pytest only warns, at the end.

    Raises:
        OptionError: for the first of them.
    """
    for key in _keys_of_file(config.inipath):
        if key.startswith("sd_") and key.removeprefix("sd_") not in options.BY_SPELLING:
            assert config.inipath is not None
            raise _unknown_key(f"{key} in {config.inipath.name}", key)


def _unknown_key(where: str, key: str) -> OptionError:
    near = did_you_mean(key, [f"sd_{name}" for name in options.BY_SPELLING])
    return OptionError(f"{where}: unknown option", fix=near or "see the sd_ keys in `pytest --help`")


def flags(row: options.Option) -> list[str]:
    """Return the flags of *row*, which has one."""
    return [options.flag_of(row)] + ([f"--sd-{row.singular.replace('_', '-')}"] if row.singular else [])


def _dest(row: options.Option) -> str:
    return f"sdbatch_{row.name}"


def _overrides(config: pytest.Config) -> dict[str, object]:
    """Return ``-o sd_x=value``: pytest merges these into the file's values, but they were typed."""
    found: dict[str, object] = {}
    for item in config.getoption("override_ini") or ():
        key, _, value = item.partition("=")
        if not key.startswith("sd_"):
            continue
        name = key.removeprefix("sd_")
        if name not in options.BY_SPELLING:
            raise _unknown_key(f"-o {item}", key)
        found[name] = value
    return found


def _ini(config: pytest.Config) -> dict[str, object]:
    native = _native_toml(config)
    overridden = set(_overrides(config))
    found: dict[str, object] = {}
    # The canonical spelling comes last, so that it wins where a file has both.
    for spelling in sorted(options.BY_SPELLING, key=lambda name: options.BY_SPELLING[name].name == name):
        if native is not None:
            value = native.get(f"sd_{spelling}")
        else:
            value = None if spelling in overridden else config.getini(f"sd_{spelling}")
        if value is not None:
            found[spelling] = value
    return found


def _native_toml(config: pytest.Config) -> Mapping[str, object] | None:
    """Return pytest 9's ``[tool.pytest]`` or ``[pytest]`` table, or None where the file has another form.

    ``getini`` would demand strings there, while ``sd_steps = 4`` and ``sd_batch_sizes = [1, 4]`` are what one writes.
    """
    table = _toml_table(config.inipath)
    return None if table is None or "ini_options" in table else table


def _toml_table(path: Path | None) -> Mapping[str, object] | None:
    if path is None or path.suffix != ".toml":
        return None
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # pytest itself reports a file that it cannot read
    table = data.get("pytest") if path.name in ("pytest.toml", ".pytest.toml") else data.get("tool", {}).get("pytest")
    return table if isinstance(table, dict) else None


def _keys_of_file(path: Path | None) -> list[str]:
    """Return the keys of pytest's section in its configuration file, which pytest itself has read."""
    table = _toml_table(path)
    if table is not None:
        options_of_ini = table.get("ini_options", table)
        return list(options_of_ini) if isinstance(options_of_ini, dict) else []
    if path is None or path.suffix == ".toml":
        return []
    import configparser

    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, ValueError):
        return []  # read by other rules than pytest's: then its warning has to do
    section = "tool:pytest" if path.name == "setup.cfg" else "pytest"
    return list(parser[section]) if section in parser else []
