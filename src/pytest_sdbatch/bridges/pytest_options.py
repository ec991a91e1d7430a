"""Options as pytest sees them: flags, ini keys in every form a configuration file has, and ``-o``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_sdbatch import options
from pytest_sdbatch.errors import OptionError

if TYPE_CHECKING:
    import pytest


def add_options(parser: pytest.Parser) -> None:
    """Declare every row of the table: an ini key per spelling, and a flag where the row has one."""
    groups = {name: parser.getgroup(f"sdbatch-{name}", title) for name, title in options.GROUPS.items()}
    for row in options.TABLE:
        for spelling in row.spellings:
            # linelist takes a string and a list alike. TOML's own types are read by _native_toml.
            parser.addini(f"sd_{spelling}", row.help, type="linelist", default=None)
        if row.flag is None:
            continue
        flags = [options.flag_of(row)] + ([f"--sd-{row.singular.replace('_', '-')}"] if row.singular else [])
        text = row.help + (f" (default: {row.default})" if row.default and row.flag else "")
        group = groups[row.group]
        if row.kind == "switch":
            group.addoption(*flags, dest=_dest(row), action="store_const", const="yes", default=None, help=row.help)
        else:
            group.addoption(*flags, dest=_dest(row), metavar=row.flag, default=None, help=text.replace("%", "%%"))


def read_options(config: pytest.Config) -> options.Options:
    """Return the options in force.

    Raises:
        OptionError: for an unknown ``-o sd_x`` or a text that cannot be read.
    """
    flags = {row.name: config.getoption(_dest(row)) for row in options.TABLE if row.flag is not None}
    resolved = options.resolve(command_line=flags, ini=_ini(config), overrides=_overrides(config))
    resolved.check()
    return resolved


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
            raise OptionError(f"-o {item}: unknown option", fix="see the sd_ keys in `pytest --help`")
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
    path = config.inipath
    if path is None or path.suffix != ".toml":
        return None
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # pytest itself reports a file that it cannot read
    table = data.get("pytest") if path.name in ("pytest.toml", ".pytest.toml") else data.get("tool", {}).get("pytest")
    if not isinstance(table, dict) or "ini_options" in table:
        return None
    return table
