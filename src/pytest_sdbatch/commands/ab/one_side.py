"""One process of a side: pytest over the cases that are asked for, and what it imported for them."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pytest_sdbatch
from pytest_sdbatch.commands.ab.proof import Code, hash_of
from pytest_sdbatch.commands.sweep import run_pytest

_LARGE_BYTES = 16 * 2**20  # of data whose size stands for its content


class Ask:
    """Makes a pytest run measure what is asked for, and tells of what it collected."""

    def __init__(self, *, run_file: Path | None, names: Sequence[str] | None, steps: str | None) -> None:
        self._run_file = run_file
        self._names = None if names is None else frozenset(names)
        self._steps = steps
        self.collected: dict[str, Any] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Before the plugin itself is configured, which is done last."""
        from pytest_sdbatch.host import HAND_IN

        if self._run_file is not None:
            config.stash[HAND_IN] = self._run_file

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Set the usual number of steps: anything that the project or the user says goes before it."""
        from pytest_sdbatch.host import host_of
        from pytest_sdbatch.options import Origin, Setting

        host = host_of(session.config)
        host.options = host.options.without("save")
        if self._steps is not None and host.options.origin("steps") is Origin.DEFAULT:
            setting = Setting(self._steps, Origin.DEFAULT, host.options.spelled("steps"))
            host.options = replace(host.options, settings={**host.options.settings, "steps": setting})

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
        """Leave the cases out that nobody asked for, once all others have had their say."""
        result = yield
        if self._names is not None:
            dropped = [item for item in items if _name_of(item) not in self._names]
            items[:] = [item for item in items if _name_of(item) in self._names]
            if dropped:
                config.hook.pytest_deselected(items=dropped)
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take note of cases and files."""
        from pytest_sdbatch.bridges import pytest_items, screen
        from pytest_sdbatch.host import host_of

        config = session.config
        benchmarks = [item for item in session.items if _name_of(item) is not None and pytest_items.measures(item)]
        recorded = screen.recorded_seconds(host_of(config)) if benchmarks and self._run_file is None else {}
        plugins = [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, ModuleType)]
        seconds = {}
        for item in benchmarks:
            case = pytest_items.case_of_item(item, host_of(config))
            seconds[_name_of(item)] = recorded.get(case.id) if case is not None else None
        self.collected = {
            "cases": seconds,
            "files": sorted({str(item.path) for item in benchmarks}),
            "conftests": sorted(str(p.__file__) for p in plugins if str(p.__file__).endswith("conftest.py")),
            "configuration": None if config.inipath is None else str(config.inipath),
            "root": str(config.rootpath),
        }


def _name_of(item: pytest.Item) -> str | None:
    """Return what a comparison calls the case of *item*; None where it is no benchmark of ours."""
    from pytest_sdbatch.bridges import pytest_items
    from pytest_sdbatch.host import host_of
    from pytest_sdbatch.storage.benchmark_schema import full_name

    case = pytest_items.case_of_item(item, host_of(item.config))
    if case is None or not isinstance(item, pytest.Function):
        return None
    return full_name(pytest_items.name_of_test(item, case), case)


def code_of_this_process(folders: Sequence[Path], but_not: Sequence[Path]) -> Code:
    """Return what this process has imported.

    Args:
        folders: whose modules count; none: all but those of the standard library, and the versions of all packages.
        but_not: folders within them that do not count.

    """
    modules: dict[str, tuple[str, str]] = {}
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
    if folders:
        rest = dict(_data_beside(modules))
    else:
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


def _data_beside(modules: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the files of a package that are no modules, by package and path: a model's configuration is code, too."""
    for name, (file, _) in modules.items():
        folder = Path(file).parent
        if "." in name or Path(file).name != "__init__.py":
            continue
        for path in sorted(folder.rglob("*")):
            if path.suffix not in (".py", ".pyc") and path.is_file():
                size = path.stat().st_size
                content = f"{size} bytes" if size > _LARGE_BYTES else hash_of(path.read_bytes())
                yield f"{name}/{path.relative_to(folder).as_posix()}", content


def main(request_file: str) -> int:
    """Run pytest as the file *request_file* asks for, and write down what it imported, and collected, beside it."""
    path = Path(request_file)
    request = json.loads(path.read_text(encoding="utf-8"))
    run_file = None if request["run_file"] is None else Path(request["run_file"])
    ask = Ask(run_file=run_file, names=request["names"], steps=request["steps"])
    status = run_pytest(request["arguments"], ask)
    code = code_of_this_process(*([Path(name) for name in request[key]] for key in ("folders", "but_not")))
    said = {
        "plugin_version": code.plugin_version,
        "plugin_hash": code.plugin_hash,
        "modules": code.modules,
        "rest": code.rest,
        "collected": ask.collected,
    }
    path.with_suffix(".said").write_text(json.dumps(said), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
