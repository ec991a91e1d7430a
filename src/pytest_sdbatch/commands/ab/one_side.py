"""One process of a side: pytest over the cases that are asked for, and what it imported for them."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import pytest_sdbatch
from pytest_sdbatch.commands.ab.process import died_file
from pytest_sdbatch.commands.ab.proof import Code, hash_of
from pytest_sdbatch.commands.hand_in import HandIn
from pytest_sdbatch.commands.sweep import run_pytest
from pytest_sdbatch.commands.tied import tie

if TYPE_CHECKING:
    from pytest_sdbatch.grid.case import Case


class Ask(HandIn):
    """Makes a pytest run measure what is asked for, and tells of what it collected."""

    def __init__(
        self, run_file: Path, *, names: Sequence[str] | None, left_out: Sequence[str], steps: str | None
    ) -> None:
        super().__init__(run_file, names=names, left_out=left_out)
        self._steps = steps
        self.collected: dict[str, Any] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Look at all that this process is given, which the command line was only a part of.

        Raises:
            pytest.UsageError: for workers of pytest-xdist.
        """
        if getattr(config.option, "numprocesses", None) or getattr(config.option, "tx", None):
            raise pytest.UsageError(
                "-n, or --tx: not with ab: processes that time at once disturb each other; "
                "it stands in PYTEST_ADDOPTS or in addopts of the configuration (leave that out: -- -o addopts=)"
            )

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Set the usual number of steps: anything that the project or the user says goes before it."""
        from pytest_sdbatch.host import host_of
        from pytest_sdbatch.options import Origin, Setting

        host = host_of(session.config)
        if self._steps is not None and host.options.origin("steps") is Origin.DEFAULT:
            setting = Setting(self._steps, Origin.DEFAULT, host.options.spelled("steps"))
            host.options = replace(host.options, settings={**host.options.settings, "steps": setting})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Write down the run as it is if this process dies within the case that begins."""
        from pytest_sdbatch.bridges import pytest_items
        from pytest_sdbatch.errors import RunFileError
        from pytest_sdbatch.host import host_of
        from pytest_sdbatch.records import Outcome
        from pytest_sdbatch.storage.run_file import write_run

        host = host_of(item.config)
        case = pytest_items.case_of_item(item, host)
        if case is None or host.is_worker or not isinstance(item, pytest.Function):
            return
        test = pytest_items.name_of_test(item, case)
        record = host.session.unmeasured(test, case, "the process died in it", Outcome.CRASHED)
        run = host.session.run(interrupted=True)
        if all(record.key != other.key for other in run.records):
            with contextlib.suppress(RunFileError):  # it is lost only if this process dies, too
                write_run(died_file(self._run_file), [replace(run, records=(*run.records, record))], over=True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take note of cases and files."""
        from pytest_sdbatch.bridges import header, pytest_items
        from pytest_sdbatch.host import host_of

        config, host = session.config, host_of(session.config)
        if not config.option.collectonly:
            return
        named = [(item, name) for item in session.items if (name := pytest_items.full_name_of(item, host)) is not None]
        recorded = header.recorded_seconds(host) if named else {}
        plugins = [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, ModuleType)]
        cases = {name: pytest_items.case_of_item(item, host) for item, name in named}
        self.collected = {
            "cases": {name: recorded.get(case.id) for name, case in cases.items() if case is not None},
            "places": {name: _place_of(name, case) for name, case in cases.items() if case is not None},
            "budgets": {name: dict(pytest_items.options_of(item, host).budget()) for item, name in named},
            "files": sorted({str(item.path) for item, _ in named}),
            "conftests": sorted(str(p.__file__) for p in plugins if str(p.__file__).endswith("conftest.py")),
            "configuration": None if config.inipath is None else str(config.inipath),
            "root": str(config.rootpath),
        }


def _place_of(name: str, case: Case) -> dict[str, str | int]:
    return {
        "test": name.partition("[")[0],
        "group": case.group_id,
        "case": f"b{case.split}",
        "batch_size": case.batch_size,
        "batch_count": case.calls,
    }


def code_of_this_process(folders: Sequence[Path], but_not: Sequence[Path], watched: Sequence[str] = ()) -> Code:
    """Return what this process has imported.

    Args:
        folders: whose modules count; none: all but those of the standard library, and the versions of all packages.
        but_not: folders within them that do not count.
        watched: packages and modules that are told of where they are imported from elsewhere.

    """
    modules: dict[str, tuple[str, str]] = {}
    elsewhere: dict[str, str] = {}
    standard = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
    packages = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib"))
    for name, module in sorted(sys.modules.items()):
        file = _file_of(module)
        if file is None:
            continue
        if folders:
            counts = _is_in(file, folders) and not _is_in(file, but_not)
        else:
            counts = _is_in(file, packages) or not _is_in(file, standard)
        if counts:
            modules[name] = (str(file), hash_of(file.read_bytes()))
        elif any(f"{name}.".startswith(f"{known}.") for known in watched):
            elsewhere[name] = str(file)
    rest: dict[str, str] = {}
    if not folders:
        rest = {name: found.version for found in metadata.distributions() if (name := found.name) is not None}
        rest["python"] = sys.version
    home = Path(pytest_sdbatch.__file__).parent
    whole = b"".join(
        file.relative_to(home).as_posix().encode() + file.read_bytes() for file in sorted(home.rglob("*.py"))
    )
    return Code(
        plugin_version=metadata.version("pytest-sdbatch"),
        plugin_hash=hash_of(whole),
        modules=modules,
        rest=rest,
        elsewhere=elsewhere,
    )


def _file_of(module: object) -> Path | None:
    """Return the file of a module; asked of its dictionary, for lazy ones import something when they are asked."""
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    if not isinstance(file, str):
        return None
    path = Path(file).resolve()
    return path if path.is_file() else None


def _is_in(file: Path, folders: Sequence[Path]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)


def main(request_file: str) -> int:
    """Run pytest as the file *request_file* asks for, and write down what it imported, and collected, beside it."""
    # A job in the background of a shell ignores it, and so would this process, which is told to stop by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tie()
    path = Path(request_file)
    request = json.loads(path.read_text(encoding="utf-8"))
    ask = Ask(Path(request["run_file"]), names=request["names"], left_out=request["left_out"], steps=request["steps"])
    status = run_pytest(request["arguments"], ask)
    folders, but_not = ([Path(name) for name in request[key]] for key in ("folders", "but_not"))
    code = code_of_this_process(folders, but_not, request["watched"])
    said = {
        "plugin_version": code.plugin_version,
        "plugin_hash": code.plugin_hash,
        "modules": code.modules,
        "rest": code.rest,
        "elsewhere": code.elsewhere,
        "collected": ask.collected,
    }
    path.with_suffix(".said").write_text(json.dumps(said), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
