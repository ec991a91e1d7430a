"""The project as it is sent to the nodes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.shipping import pack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with code, a file of weights, and what tools leave in it."""
    root = tmp_path / "project"
    for name in ("benchmarks/test_x.py", "pyproject.toml", "app/__pycache__/x.pyc", ".sdbatch/run.jsonl", "data/a.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "model").mkdir()
    (root / "model" / "unet.safetensors").write_bytes(b"0" * 3000)
    (root / "env" / "lib").mkdir(parents=True)
    (root / "env" / "pyvenv.cfg").write_text("home = /usr\n")
    (root / "env" / "lib" / "torch.py").write_text("x")
    return root


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make a clone with one file that git tracks."""
    root = tmp_path / "clone"
    write(root / "test_x.py")
    git(root, "init", "-q")
    git(root, "add", ".")
    return root


def write(path: Path) -> None:
    """Make a file, and the folders for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


def git(folder: Path, *words: str) -> None:
    """Call git in *folder*."""
    subprocess.run(["git", *words], cwd=folder, check=True)


def names_in(path: Path) -> list[str]:
    """Return the names of the files in a zip."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_what_is_too_large_or_made_by_tools_stays_here(project: Path, tmp_path: Path) -> None:
    """Named, for benchmarks may want it: weights belong where all nodes see them."""
    sent = pack(project, tmp_path / "p.zip", large_bytes=1000)

    assert names_in(sent.path) == ["benchmarks/test_x.py", "data/a.png", "pyproject.toml"]
    assert (sent.files, sent.size_bytes) == (3, 3)
    assert sent.left_out == (("model/unet.safetensors", 3000),)
    assert sent.said == "not sent, over 64.0 MiB: 1 file, 2.93 KiB: model/unet.safetensors (2.93 KiB)"


def test_in_a_clone_git_says_what_belongs_to_the_project(project: Path, tmp_path: Path) -> None:
    """New files do, ignored ones do not, and one that was removed is no error."""
    (project / ".gitignore").write_text("data/\n")
    for words in (["init", "-q"], ["add", "pyproject.toml", ".gitignore"]):
        subprocess.run(["git", *words], cwd=project, check=True)
    (project / "pyproject.toml").unlink()

    sent = pack(project, tmp_path / "p.zip")

    assert names_in(sent.path) == [".gitignore", "benchmarks/test_x.py", "model/unet.safetensors"]
    assert sent.said == ""


def test_what_git_tracks_is_sent_whatever_its_folder_is_called(clone: Path, tmp_path: Path) -> None:
    """Tools make folders of these names, too; theirs are left out where git does not know them."""
    for name in ("bench/venv/test_x.py", "data/env/pyvenv.cfg", "data/env/x.py"):
        write(clone / name)
    git(clone, "add", ".")
    for name in ("venv/lib/x.py", "own/pyvenv.cfg", "own/x.py", "bench/__pycache__/x.pyc"):
        write(clone / name)
    (clone / ".venv").symlink_to(tmp_path)

    sent = pack(clone, tmp_path / "p.zip")

    assert names_in(sent.path) == ["bench/venv/test_x.py", "data/env/pyvenv.cfg", "data/env/x.py", "test_x.py"]
    assert sent.said == ""


@pytest.mark.parametrize("is_clone", [True, False])
def test_a_project_may_be_an_environment_itself(clone: Path, tmp_path: Path, is_clone: bool) -> None:
    """Made by ``python -m venv .``: what was installed stays here."""
    for name in ("pyvenv.cfg", "lib/python3.12/site-packages/torch/nn.py"):
        write(clone / name)
    if not is_clone:
        shutil.rmtree(clone / ".git")

    assert names_in(pack(clone, tmp_path / "p.zip").path) == ["pyvenv.cfg", "test_x.py"]


@pytest.mark.parametrize("is_clone", [True, False])
def test_what_a_link_to_a_folder_holds_is_sent_as_files(clone: Path, tmp_path: Path, is_clone: bool) -> None:
    """As far as it belongs to the project; a link that leads out of it, or around, is named."""
    (tmp_path / "elsewhere").mkdir()
    for name in ("shared/a.py", "shared/__pycache__/a.pyc", "more/b.py", "bench/x.py"):
        write(clone / name)
    for name, target in (
        ("bench/common", "../shared"),
        ("shared/more", "../more"),
        ("more/back", "../shared"),
        ("around", "."),
        ("out", str(tmp_path / "elsewhere")),
        ("nothing", "nowhere"),
    ):
        (clone / name).symlink_to(target)
    if not is_clone:
        shutil.rmtree(clone / ".git")

    sent = pack(clone, tmp_path / "p.zip")

    names = names_in(sent.path)
    assert [name for name in names if name.startswith("bench/")] == [
        "bench/common/a.py",
        "bench/common/more/b.py",
        "bench/x.py",
    ]
    assert len(names) == len(set(names))
    assert sent.said == "not sent, links to folders of which git keeps nothing here: around, out"


def test_repositories_within_the_project_are_named(clone: Path, tmp_path: Path) -> None:
    """A submodule, and a clone that git does not know."""
    for name in ("lib/helpers", "vendor"):
        write(clone / name / "x.py")
        git(clone / name, "init", "-q")
        git(clone / name, "add", ".")
        git(clone / name, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
    git(clone, "-c", "advice.addEmbeddedRepo=false", "add", "lib/helpers")

    sent = pack(clone, tmp_path / "p.zip")

    assert names_in(sent.path) == ["test_x.py"]
    assert sent.said == "not sent, repositories of their own: lib/helpers, vendor"


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_name_that_is_no_text_is_named(clone: Path, tmp_path: Path) -> None:
    """A zip has no place for it; one beyond ASCII is sent."""
    for name in ("caf\udce9.txt", "café.txt"):
        write(clone / name)

    sent = pack(clone, tmp_path / "p.zip", large_bytes=0)
    assert sent.said.endswith("; not sent, names that are not UTF-8: caf\\xe9.txt")
    sent = pack(clone, tmp_path / "q.zip")
    assert names_in(sent.path) == ["café.txt", "test_x.py"]


def test_a_folder_that_git_ignores_is_sent_whole(project: Path, tmp_path: Path) -> None:
    """Git knows no file of it."""
    (tmp_path / ".gitignore").write_text("*\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    assert "benchmarks/test_x.py" in names_in(pack(project, tmp_path / "p.zip").path)


def test_a_project_that_is_too_large_is_refused_with_its_largest_files(project: Path, tmp_path: Path) -> None:
    """Before anything travels."""
    with pytest.raises(ClusterError, match="is too large to be sent") as raised:
        pack(project, tmp_path / "p.zip", most_bytes=2000)

    assert "the largest files are model/unet.safetensors (2.93 KiB)" in raised.value.why
    assert not (tmp_path / "p.zip").exists()


def test_without_git_nothing_hidden_is_sent(project: Path, tmp_path: Path) -> None:
    """It may hold keys; what pytest and coverage read is sent."""
    for name in (".env", ".ssh/id", ".pytest.ini", ".coveragerc"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("x")

    sent = names_in(pack(project, tmp_path / "p.zip").path)

    assert [name for name in sent if name.startswith(".")] == [".coveragerc", ".pytest.ini"]


def test_a_clone_of_which_git_does_not_tell_is_refused(project: Path, tmp_path: Path) -> None:
    """What it ignores must not be sent."""
    (project / ".git").write_text("gitdir: /nowhere\n")

    with pytest.raises(ClusterError, match="git does not tell what belongs to the project") as raised:
        pack(project / "benchmarks", tmp_path / "p.zip")

    assert "/nowhere" in raised.value.why


def test_a_home_is_no_project(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a folder that holds one."""
    monkeypatch.setattr(Path, "home", lambda: project / "data")

    for root in (project / "data", project, Path(project.anchor)):
        with pytest.raises(ClusterError, match="is no project"):
            pack(root, tmp_path / "p.zip")


def test_a_zip_that_cannot_be_written_is_one_error(project: Path, tmp_path: Path) -> None:
    """The disk is full, say."""
    with pytest.raises(ClusterError, match="cannot be sent"):
        pack(project, tmp_path / "no such folder" / "p.zip")
