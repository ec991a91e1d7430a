"""What a process says that it imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_sdbatch.commands.ab.one_side import code_of_this_process
from pytest_sdbatch.commands.ab.proof import hash_of


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Import a package."""
    folder = tmp_path / "tree" / "scratch_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from scratch_package import part\n")
    (folder / "part.py").write_text("")
    (folder / "never.py").write_text("")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    __import__("scratch_package")
    return folder


def test_the_modules_of_a_side_are_told_with_their_content(package: Path) -> None:
    """Those that were imported, from its folders alone."""
    found = code_of_this_process([package.parent], [])

    assert found.modules == {
        "scratch_package": (str(package / "__init__.py"), hash_of((package / "__init__.py").read_bytes())),
        "scratch_package.part": (str(package / "part.py"), hash_of(b"")),
    }
    assert found.elsewhere == {}


def test_folders_within_do_not_count(package: Path) -> None:
    """An environment often lies within the project."""
    assert code_of_this_process([package.parents[1]], [package.parent]).modules == {}


def test_what_differs_is_told_wherever_it_lies(package: Path, tmp_path: Path) -> None:
    """Whole packages and single modules; nothing whose name only begins like theirs."""
    watched = ["scratch_package", "pytes", "json"]

    found = code_of_this_process([tmp_path / "other"], [], watched)

    assert found.modules == {}
    assert found.elsewhere["scratch_package.part"] == str(package / "part.py")
    assert {name.partition(".")[0] for name in found.elsewhere} == {"scratch_package", "json"}


def test_without_folders_all_that_is_installed_counts() -> None:
    """Modules outside the standard library, and the version of each package."""
    found = code_of_this_process([], [])

    assert "pytest" in found.modules
    assert not {"json", "pathlib", "sys"} & found.modules.keys()
    assert found.rest["pytest"] == pytest.__version__
    assert found.rest["python"] == sys.version


def test_the_plugin_is_told_by_its_files() -> None:
    """Two environments may have the same version and other files."""
    assert code_of_this_process([], []).plugin_hash == code_of_this_process([Path("nowhere")], []).plugin_hash
