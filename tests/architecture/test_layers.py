"""The directions of imports: down, or sideways within a folder; and what each layer may know of the world."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "pytest_sdbatch"
ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / PACKAGE

# A folder or file of the package, and its layer. An import may only point to a lower number, or stay in its folder.
LAYERS = {
    "errors": 0,
    "plain_text": 0,
    "nouns": 0,
    "units": 0,
    "records": 1,
    "options": 1,
    "grid": 1,
    "analysis": 1,
    "pipelines": 2,
    "training": 2,
    "devices": 2,
    "devices.nvml": 2,  # alone knows the driver's library
    "measure": 3,
    "training.loop": 3,
    "training.meter": 3,
    "training.study": 3,
    "session": 4,
    "storage": 4,
    "storage.store": 4,  # alone knows what opens URLs
    "report": 4,
    "": 5,  # the package itself: the public names
    "plugin": 5,
    "host": 5,
    "fixtures": 5,
    "hookspecs": 5,
    "cli": 5,
    "commands": 5,
    "commands.cluster.ray_cluster": 5,  # alone knows Ray
    "bridges": 5,
    "__main__": 5,
    "suite": 5,
    "suite_training": 5,
}
TOP = 5
# Imports within a layer that leave their folder. The top layer wires everything and is left out.
SIDEWAYS = {
    ("errors", "plain_text"),  # what a message names may come from anybody
    ("options", "grid"),  # the grammar of the values
    ("grid", "options"),  # what the plan is made from
    ("records", "grid"),  # a record holds its case
    ("analysis", "records"),  # what was measured is judged
    ("devices", "devices.nvml"),
    ("devices.nvml", "devices"),
    ("pipelines", "devices"),  # a pipeline is put on a device
    ("training", "pipelines"),  # a task trains a pipeline's network
    ("training", "devices"),
    ("training.loop", "measure"),
    ("training.study", "training.loop"),  # a study is made of runs
    ("training.meter", "training.loop"),
    ("storage.store", "storage"),  # it keeps run files, as a folder does
    ("session", "storage"),  # the session keeps what it measured
    ("session", "report"),
}

# Distributions besides the standard library, and who may import them. All imports are made inside functions, so that
# a pytest run that measures nothing pays for none of them; AT_TOP lists where the module may do it at its top.
HOMES = {
    "torch": {"pipelines", "training", "training.loop", "devices"},
    "diffusers": {"pipelines", "training"},
    "transformers": {"pipelines", "training"},
    "tokenizers": {"pipelines"},
    "safetensors": {"pipelines", "training"},
    "huggingface_hub": {"pipelines"},
    "accelerate": {"training"},
    "bitsandbytes": {"training"},
    "peft": {"training"},
    "PIL": {"training"},
    "numpy": {"analysis", "devices"},  # devices: the fake one makes images
    "scipy": {"analysis"},
    "sklearn": {"training"},  # the digits, and a classifier
    "psutil": {"devices", "measure"},
    "filelock": {"devices"},
    "fsspec": {"storage.store"},
    "pynvml": {"devices.nvml"},
    "msgspec": {"storage"},
    "rich": {"report"},
    "xdist": {"bridges"},
    "ray": {"commands.cluster.ray_cluster"},
    "grpc": {"commands.cluster.ray_cluster"},  # Ray Client needs it, and Ray alone does not bring it
    "pytest": {unit for unit, layer in LAYERS.items() if layer == TOP},
}
AT_TOP = {"msgspec": {"storage"}, "numpy": {"analysis"}, "scipy": {"analysis"}, "pytest": HOMES["pytest"]}
# Modules that their projects keep to themselves; here because nothing public does the same.
PRIVATE = {
    "torch._dynamo.utils": "counts recompiles",
    "torch._inductor.utils": "gives a case an empty compile cache of its own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name."""

    where: str  # file and line
    unit: str  # the key of LAYERS that the importing file belongs to
    module: str  # what is imported, dotted
    lazy: bool  # inside a function
    typing_only: bool  # under TYPE_CHECKING, never run

    @property
    def distribution(self) -> str:
        """The top-level name."""
        return self.module.partition(".")[0]


def unit_of(module: str) -> str:
    """Return the key of LAYERS for *module*, dotted and without the package's name."""
    parts = module.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in candidates if name in LAYERS), parts[0])


def module_of(path: Path) -> str:
    """Return the dotted name of a source file, without the package's name."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def exists(module: str) -> bool:
    """Return whether a dotted name of the package is a module, and not a name within one."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports_in(tree: ast.AST, *, file: str, unit: str) -> Iterator[Import]:
    """Yield every import of *tree*, also those within functions and blocks."""
    yield from _walk(tree, file=file, unit=unit, lazy=False, typing_only=False)


def _walk(node: ast.AST, *, file: str, unit: str, lazy: bool, typing_only: bool) -> Iterator[Import]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for module in _targets(node):
            where = f"{file}:{node.lineno}"
            yield Import(where=where, unit=unit, module=module, lazy=lazy, typing_only=typing_only)
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for statement in node.body:
            yield from _walk(statement, file=file, unit=unit, lazy=lazy, typing_only=True)
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    lazy = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    for child in children:
        yield from _walk(child, file=file, unit=unit, lazy=lazy, typing_only=typing_only)


def _targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = "." * node.level + (node.module or "")
    for alias in node.names:
        longer = f"{base}.{alias.name}"
        yield longer if base.startswith(PACKAGE) and exists(longer) else base


@pytest.fixture(scope="module")
def imports() -> tuple[Import, ...]:
    """Every import of the package."""
    found: list[Import] = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += imports_in(tree, file=str(path.relative_to(ROOT)), unit=unit_of(module_of(path)))
    return tuple(found)


def own(imports: tuple[Import, ...]) -> Iterator[tuple[Import, str]]:
    """Yield the imports of our own modules, with the key of LAYERS they point to."""
    for item in imports:
        if item.distribution == PACKAGE:
            yield item, unit_of(item.module.removeprefix(PACKAGE).removeprefix("."))


def foreign(imports: tuple[Import, ...]) -> Iterator[Import]:
    """Yield the imports that run and are neither ours nor the standard library's."""
    for item in imports:
        if item.distribution != PACKAGE and item.distribution not in sys.stdlib_module_names and not item.typing_only:
            yield item


def test_every_file_has_a_layer() -> None:
    """A new file is placed before it is merged."""
    units = {unit_of(module_of(path)) for path in SOURCE.rglob("*.py")}

    assert units - LAYERS.keys() == set()


def test_imports_point_down_or_stay_in_their_folder(imports: tuple[Import, ...]) -> None:
    """Data flows one way: what is pure knows nothing of what runs, and what measures nothing of who asked."""
    wrong = [
        f"{item.where}: {item.unit or PACKAGE} imports {item.module}"
        for item, target in own(imports)
        if item.unit != target
        and LAYERS[item.unit] <= LAYERS[target]
        and (item.unit, target) not in SIDEWAYS
        and not LAYERS[item.unit] == LAYERS[target] == TOP
    ]

    assert wrong == []


def test_imports_are_absolute(imports: tuple[Import, ...]) -> None:
    """A dotted path says at a glance where it points."""
    assert [item.where for item in imports if item.module.startswith(".")] == []


def test_each_dependency_is_imported_only_where_it_belongs(imports: tuple[Import, ...]) -> None:
    """A vendor's name outside its adapter would tie the measurement to the vendor."""
    wrong = [
        f"{item.where}: {item.unit} imports {item.module}"
        for item in foreign(imports)
        if item.unit not in HOMES.get(item.distribution, set())
    ]

    assert wrong == []


def test_dependencies_are_imported_when_they_are_used(imports: tuple[Import, ...]) -> None:
    """Every pytest run of every project that has the plugin installed imports it."""
    wrong = [
        f"{item.where}: {item.module} at the top of a module"
        for item in foreign(imports)
        if not item.lazy and item.unit not in AT_TOP.get(item.distribution, set())
    ]

    assert wrong == []


def test_no_private_module_is_imported(imports: tuple[Import, ...]) -> None:
    """What a project marks as its own changes without notice: _pytest, and all of pytest-benchmark but its fixture."""
    wrong = [
        f"{item.where}: {item.module}"
        for item in imports
        if item.distribution not in sys.stdlib_module_names and item.module not in PRIVATE
        if any(part.startswith("_") for part in item.module.split("."))
        or (item.distribution == "pytest_benchmark" and item.module != "pytest_benchmark.fixture")
    ]

    assert wrong == []


def test_private_modules_that_are_excused_are_still_needed(imports: tuple[Import, ...]) -> None:
    """An excuse outlives its reason if nobody looks."""
    assert PRIVATE.keys() - {item.module for item in imports} == set()


SNIPPET = f"""
import numpy
from {PACKAGE} import errors
from {PACKAGE}.errors import OptionError
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
else:
    import scipy
class A:
    def method(self):
        with x:
            import rich.text
"""


def test_imports_are_found_wherever_they_stand() -> None:
    """The reader of this file sees functions, classes, blocks and type checks, and tells modules from names."""
    found = [
        (item.module, item.lazy, item.typing_only) for item in imports_in(ast.parse(SNIPPET), file="x.py", unit="grid")
    ]

    assert found == [
        ("numpy", False, False),
        (f"{PACKAGE}.errors", False, False),
        (f"{PACKAGE}.errors", False, False),
        ("typing", False, False),
        ("torch", False, True),
        ("scipy", False, False),
        ("rich.text", True, False),
    ]


@pytest.mark.parametrize(
    ("module", "unit"), [("grid.axes", "grid"), ("training.loop", "training.loop"), ("training.task", "training")]
)
def test_a_file_belongs_to_the_longest_name_that_has_a_layer(module: str, unit: str) -> None:
    """The training loop measures; the rest of its folder does not."""
    assert unit_of(module) == unit
