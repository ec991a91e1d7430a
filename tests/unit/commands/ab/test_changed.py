"""Which modules differ, of the paths that do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sdbatch.commands.ab.changed import Changed, changed_code


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make the tree of a repository of two projects, one of which has copied a package into itself."""
    for name in (
        "src/app/__init__.py",
        "src/app/vendored/torch/__init__.py",
        "packages/core/src/core/__init__.py",
        "flat/pyproject.toml",
        "benchmarks/__init__.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "module", "installed"),
    [
        ("src/app/part.py", "app", "."),
        ("src/app/vendored/torch/x.py", "app", "."),
        ("src/space/part.py", "space.part", "."),
        ("packages/core/src/core/deep/part.pyx", "core", "packages/core"),
        ("flat/single.py", "single", "flat"),
        ("top.py", "top", "."),
    ],
)
def test_a_path_is_of_the_outermost_package(tree: Path, path: str, module: str, installed: str) -> None:
    """Found from where Python would look for it; a copy within a package is not imported by the name it had."""
    assert changed_code([path], (), trees=(tree,)).modules == {module: installed}


def test_data_of_a_package_is_code(tree: Path) -> None:
    """A model's configuration is; what people read, what the sides share, and what lies in no package is not."""
    paths = ["src/app/model.json", "packages/core/src/core/README.md", "benchmarks/pytest.ini", "README.md", "x.json"]

    assert changed_code(paths, ("benchmarks",), trees=(tree,)) == Changed(
        modules={"app": ".", "core": "packages/core"}, with_data=frozenset({"app"})
    )
