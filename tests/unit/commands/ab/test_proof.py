"""When two sides count as different code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.commands.ab.changed import Changed
from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.proof import Code, check_different, check_own, check_plugin, check_same_as_before

MINE = Path("/work/project")


def code(side: str = "base", **changes: Any) -> Code:
    """Return what a process of *side* says: a module of its own, a benchmark that both have."""
    usual: dict[str, Any] = {
        "plugin_version": "1",
        "plugin_hash": "p",
        "modules": {
            "app": (f"/tmp/x/{side}/tree/src/app.py", side),
            "test_it": (f"/tmp/x/{side}/tree/benchmarks/test_it.py", "same"),
        },
        "rest": {},
    }
    return Code(**{**usual, **changes})


def refused(base: Code, candidate: Code, *, tree: Path | None = MINE, data: frozenset[str] = frozenset()) -> str:
    """Return why two sides are refused; no text where they are not."""
    try:
        check_different(base, candidate, callers_tree=tree, shared=("benchmarks",), changed=Changed(with_data=data))
    except NoComparison as error:
        return str(error)
    return ""


def test_other_content_is_other_code() -> None:
    """Wherever it lies; also a module that one side alone imported, and data beside the modules."""
    more = code("base", modules={**code("base").modules, "app.new": ("/tmp/x/candidate/tree/src/new.py", "n")})

    assert refused(code("base"), code("candidate")) == ""
    assert refused(code("base"), more) == ""
    assert refused(code("base"), code("base"), data=frozenset({"app"})) == ""


def test_the_same_content_is_the_same_code() -> None:
    """In two folders, too: the message names what was imported, and leaves out the benchmarks, which are shared."""
    elsewhere = {name: (file.replace("base", "candidate"), h) for name, (file, h) in code("base").modules.items()}

    said = refused(code("base"), code("candidate", modules=elsewhere))

    assert said.startswith("both sides ran the same code")
    assert "what was imported: app\n" in said


def test_a_benchmark_that_changed_is_no_other_code() -> None:
    """Both sides run the candidate's."""
    alone = {"benchmarks.x": ("/tmp/x/base/tree/benchmarks/x.py", "b")}
    other = {"benchmarks.x": ("/tmp/x/candidate/tree/benchmarks/x.py", "c")}

    assert "no module of the project was imported" in refused(code(modules=alone), code(modules=other))


def test_the_candidates_code_on_the_base_is_found_by_its_folder() -> None:
    """Be it together with code of its own: a part of what was measured is not what it should be."""
    stray = code("base", modules={**code("base").modules, "late": (str(MINE / "src" / "late.py"), "x")})

    said = refused(stray, code("candidate"))

    assert said.startswith("both sides ran the candidate's code")
    assert str(MINE / "src" / "late.py") in said


def test_two_environments_differ_by_any_package() -> None:
    """The version of one is enough; nothing different is refused."""
    old, new = code(rest={"torch": "2.12"}), code(rest={"torch": "2.13"})

    assert refused(old, new, tree=None) == ""
    assert "--base-python" in refused(old, replace(old), tree=None)


def test_another_plugin_is_refused() -> None:
    """By the content of its files, and with both versions."""
    check_plugin(code(), code(plugin_version="2"), side="base")
    with pytest.raises(NoComparison, match="the base measures with another pytest-sdbatch: 0 where this is 1"):
        check_plugin(code(plugin_version="0", plugin_hash="q"), code(), side="base")
    with pytest.raises(NoComparison, match="the base measures with another pytest-sdbatch: 1 with other files"):
        check_plugin(code(plugin_hash="q"), code(), side="base")


def test_code_that_changes_during_the_job_is_refused() -> None:
    """A later process may import less, not something else."""
    first = code()
    less = code(modules={"app": first.modules["app"]})

    check_same_as_before(less, first, side="base")
    with pytest.raises(NoComparison, match="the code of the base changed while it was measured: app"):
        check_same_as_before(code("other"), first, side="base")


def test_code_of_neither_side_is_refused() -> None:
    """A part of the repository that is installed for both: what differs of it ran on no side, be the rest their own."""
    changed = Changed(modules={"core": "../core"})
    found = code(elsewhere={"core.part": "/site-packages/core/part.py"})

    check_own(code(), changed, side="base")
    with pytest.raises(NoComparison, match=r"the base did not run its own core.part") as refused:
        check_own(found, changed, side="base")
    assert "imported from /site-packages/core/part.py" in str(refused.value)
    assert '--setup "pip install --no-deps ../core"' in str(refused.value)


def test_data_of_what_was_not_imported_is_no_other_code() -> None:
    """Nor is what the benchmarks write beside themselves, which git does not know."""
    assert refused(code("base"), code("base"), data=frozenset({"other"})).startswith("both sides ran the same code")
