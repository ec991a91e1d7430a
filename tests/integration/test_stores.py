"""Baselines in a store, as a user meets them: in memory, and at a server of this machine that speaks S3.

The latter does what docs/how-to/gate-in-ci.md says of a baseline in a store.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmark_run import RunBenchmark
from gated import GATE, SIZES, device
from real_processes import BENCHMARK, SDBATCH, call, conftest
from stores import URL, Scripted, raising

from pytest_sdbatch.storage.store import open_store

STORE = ("-o", f"sd_baselines={URL}")
SAVE = ("--sd-save=main", SIZES)


def objects(scripted: type[Scripted]) -> list[str]:
    """Return the paths of what was saved, without pointers and what only was tried."""
    return [path for path in scripted.paths() if re.search(r"-[0-9a-f]{16}\.json$", path)]


def test_a_run_is_held_to_what_was_saved_to_a_store(run_benchmark: RunBenchmark, scripted: type[Scripted]) -> None:
    """What the folder does, at a URL; the header names the object, and a run file where it was looked for."""
    saved = run_benchmark(*STORE, *SAVE, device=device())
    gated = run_benchmark(*STORE, *GATE, "--sd-report=run.json", device=device())

    (path,) = objects(scripted)
    assert saved.run.ret == 0
    assert f"baseline: {URL}/{path.rpartition('/')[0]}.json names {path.rpartition('/')[2]}" in saved.text
    assert gated.run.ret == 0
    assert f"sdbatch: gate against {URL}/{path}: 1 run, recorded " in gated.text
    assert "2 cases compared" in gated.text
    assert json.loads(Path("run.json").read_text())["sdbatch"]["runs"][0]["options"]["baselines"] == URL
    assert not Path("benchmarks").exists()


def test_saving_again_renews_the_baseline(run_benchmark: RunBenchmark, scripted: type[Scripted]) -> None:
    """No file has to be removed first; the earlier run stays, and a run that regressed moves no pointer."""
    for factor in (1.0, 1.1):
        assert run_benchmark(*STORE, *SAVE, device=device(factor)).run.ret == 0
    assert len(objects(scripted)) == 2

    (pointer,) = [path for path in scripted.paths() if path.count("/") == 1]
    named = scripted.take(pointer)
    scripted.put(pointer, named)
    newest = f"{pointer.removesuffix('.json')}/{json.loads(named)['object']}"

    refused = run_benchmark(*STORE, *SAVE, "--sd-baseline=main", device=device(capacity_images=1))
    gated = run_benchmark(*STORE, *GATE, device=device(1.1))

    assert refused.run.ret == 1
    assert "was not written" in refused.text
    assert len(objects(scripted)) == 2
    assert f"gate against {URL}/{newest}:" in gated.text
    assert scripted.take(pointer) == named


@pytest.mark.parametrize("error", [PermissionError("Access Denied"), ConnectionError("no route")])
def test_a_store_that_cannot_be_written_to_ends_the_run_before_it_measures(
    run_benchmark: RunBenchmark, scripted: type[Scripted], error: Exception
) -> None:
    """One error with what, why and what to do, and exit status 4; not an hour later, with the run in hand."""
    scripted.before = raising(error, when=lambda verb, path: verb == "write")

    result = run_benchmark(*STORE, *SAVE)

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert result.text.count("ERROR: ") == 1
    assert re.search(rf"ERROR: {URL}/main/\S+/may-write (may not|cannot) be written", result.text)
    assert "  why: " in result.text
    assert "  do:  " in result.text
    assert not result.records


@pytest.mark.parametrize("also", [(), ("--sd-baseline=main", "--sd-gate")])
def test_a_run_that_a_store_did_not_take_at_the_end_is_saved_by_resuming(
    run_benchmark: RunBenchmark, scripted: type[Scripted], also: tuple[str, ...]
) -> None:
    """Nothing is measured again; once it is saved there is nothing more to resume. A gate does not go with that."""
    assert run_benchmark(*STORE, *SAVE, device=device()).run.ret == 0
    before = objects(scripted)
    tried: list[str] = []

    def once(verb: str, path: str) -> None:
        if verb == "write" and not path.endswith("/may-write") and not tried:
            tried.append(path)
            raise ConnectionError("no route")

    scripted.before = once
    failed = run_benchmark(*STORE, *SAVE, *also, device=device())
    resumed, again = (run_benchmark(*STORE, *SAVE, "--sd-resume", device=device()) for _ in range(2))

    assert failed.run.ret == 1
    assert "cannot be written" in failed.text
    without = ", without --sd-gate," if also else ""
    assert f"nothing is lost: --sd-resume{without} keeps what was measured" in failed.text
    assert "interrupted" not in failed.text
    assert resumed.run.ret == 0
    assert "2 cases kept" in resumed.text
    assert "[1/2]" not in resumed.text
    assert f"baseline: {URL}/main/" in resumed.text
    assert len(objects(scripted)) == len(before) + 2
    assert "nothing to resume" in again.text


def test_a_run_that_is_no_baseline_is_not_resumed_for_it(run_benchmark: RunBenchmark, scripted: type[Scripted]) -> None:
    """It would be none again: what is resumed would keep the job from ever measuring another one."""
    assert run_benchmark(*STORE, *SAVE, device=device()).run.ret == 0
    refused = run_benchmark(*STORE, *SAVE, "--sd-baseline=main", device=device(capacity_images=1))
    again = run_benchmark(*STORE, *SAVE, "--sd-resume", device=device())

    assert "was not written" in refused.text
    assert "nothing is lost" not in refused.text
    assert "nothing to resume" in again.text
    assert again.run.ret == 0


@pytest.mark.parametrize("damage", ["refused", "empty", "half", "nothing", "cut"])
def test_a_baseline_that_cannot_be_believed_ends_with_12(
    run_benchmark: RunBenchmark, scripted: type[Scripted], damage: str
) -> None:
    """Never "0 compared": the message names the URL, and nothing was measured."""
    assert run_benchmark(*STORE, *SAVE, device=device()).run.ret == 0
    (path,) = objects(scripted)
    pointer = f"{path.rpartition('/')[0]}.json"
    if damage == "refused":
        scripted.before = raising(PermissionError("Access Denied"), when=lambda verb, path: verb == "read")
    elif damage in ("empty", "half"):
        scripted.put(pointer, scripted.take(pointer)[: 20 if damage == "half" else 0])
    else:
        data = scripted.take(path)
        if damage == "cut":
            scripted.put(path, data[: len(data) // 2])

    result = run_benchmark(*STORE, *GATE, device=device())

    assert result.run.ret == 12
    assert f"--sd-baseline=main: {URL}/main/" in result.text
    assert not result.records


def test_no_baseline_in_a_store_ends_before_pytest_begins(
    run_benchmark: RunBenchmark, scripted: type[Scripted]
) -> None:
    """With 12; and so does a store that refuses to be looked into."""
    missing = run_benchmark(*STORE, *GATE)
    scripted.before = raising(PermissionError("Access Denied"))
    refused = run_benchmark(*STORE, *GATE)

    assert (missing.run.ret, refused.run.ret) == (12, 12)
    assert f"{URL}/main does not exist" in missing.text
    assert f"{URL}/main may not be listed" in refused.text
    assert "collected" not in missing.text + refused.text


@pytest.mark.parametrize("idle", ["--sd-plan", "--benchmark-disable", "--collect-only"])
def test_who_measures_nothing_needs_no_leave_to_write(
    run_benchmark: RunBenchmark, scripted: type[Scripted], idle: str
) -> None:
    """A pull request's job, say, that only looks whether the benchmarks still run."""
    scripted.before = raising(PermissionError("Access Denied"), when=lambda verb, path: verb == "write")

    result = run_benchmark(*STORE, *SAVE, idle)

    assert result.run.ret != pytest.ExitCode.USAGE_ERROR, result.text
    assert scripted.paths() == []


@pytest.mark.parametrize(
    ("verb", "said"), [("list", f"{URL} cannot be listed"), ("read", "this shard cannot be planned")]
)
def test_a_shard_is_not_planned_without_the_times_that_others_have(
    run_benchmark: RunBenchmark, scripted: type[Scripted], verb: str, said: str
) -> None:
    """Machines that plan by different times measure cases twice, or never."""
    assert run_benchmark(*STORE, *SAVE, device=device()).run.ret == 0
    scripted.before = raising(ConnectionError("no route"), when=lambda asked, path: asked == verb)

    result = run_benchmark(*STORE, "-o", "sd_shard=1/2", SIZES)

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {said}" in result.text
    assert "ConnectionError: no route" in result.text
    assert not result.records


@pytest.mark.parametrize("typed", [True, False])
def test_a_password_in_a_url_is_neither_shown_nor_kept(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester, typed: bool
) -> None:
    """It is refused wherever it stands, before a run could carry it into its file."""
    url = "ftp://me:hunter2@host/baselines"
    if not typed:
        pytester.makeini(f"[pytest]\nsd_baselines = {url}\n")

    result = run_benchmark(*(("-o", f"sd_baselines={url}") if typed else ()), "--sd-report=run.json", SIZES)

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "a URL with a password or a query" in result.text
    assert "hunter2" not in result.text
    assert not Path("run.json").exists()


def test_an_unknown_protocol_ends_the_run_before_it_measures(run_benchmark: RunBenchmark) -> None:
    """With exit status 4, as any option that cannot be used."""
    result = run_benchmark("-o", "sd_baselines=s4://bucket", *SAVE)

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "fsspec knows no protocol 's4'" in result.text
    assert not result.records


# A server that speaks S3.

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "gate-in-ci.md"
SERVER = """
import threading
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server that holds one bucket, and return its address."""
    for package in ("s3fs", "moto", "flask_cors"):
        pytest.importorskip(package)
    command = (sys.executable, "-c", SERVER)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        ask(f"{address}/bucket", "PUT")
        yield address
        process.kill()


@pytest.fixture
def project(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with the configuration of the page, whose processes find the server and may use it."""
    variables = {
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": server,
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (configuration,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "pyproject.toml").write_text(configuration.replace("BUCKET", "bucket"))
    (tmp_path / "conftest.py").write_text(conftest())
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "test_it.py").write_text(BENCHMARK)
    return tmp_path


def ask(address: str, method: str, data: bytes = b"") -> None:
    """Send a request to the server."""
    request = urllib.request.Request(address, data, {"Content-Type": "text/plain"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def pytest_in(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest over the benchmarks of *project*."""
    return call(project, sys.executable, "-m", "pytest", "benchmarks/", "--sd-batch-sizes=1", *words)


@pytest.mark.slow
def test_what_the_page_says_of_a_store_works_with_s3(project: Path) -> None:
    """Its step records, in fewer processes; its command compares with that, in another process and by the same file."""
    yaml: Any = pytest.importorskip("yaml")  # transformers brings it
    text = PAGE.read_text()
    flows = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
    (flow,) = [flow for flow in flows if flow["name"] == "store"]
    (script,) = [step["run"] for step in flow["jobs"]["record"]["steps"] if step.get("name") == "Record"]
    _, *words = shlex.split(script.replace("\\\n", " ").replace("--processes=5", "--processes=1"))
    commands = re.findall(r"^\$ pytest (.* -o sd_baselines=.* --sd-baseline=main --sd-gate)$", text, re.MULTILINE)

    recorded = call(project, *SDBATCH, *words)
    gated = call(project, sys.executable, "-m", "pytest", *shlex.split(commands[-1].replace("BUCKET", "bucket")))

    assert recorded.returncode == 0, recorded.stdout + recorded.stderr
    assert re.search(r"baseline: s3://bucket/baselines/main/\S+\.json names \S+\.json", recorded.stdout)
    assert gated.returncode == 0, gated.stdout + gated.stderr
    assert "sdbatch: gate against s3://bucket/baselines/main/" in gated.stdout
    assert "3 cases compared" in gated.stdout
    assert not (project / "benchmarks" / "baselines").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "written", "listed"),
    [
        ("forbidden", r"may not be written\n  why: the store refuses it: ", r"may not be listed\n"),
        (
            "no bucket",
            r"cannot be written\n  why: the store has no such place: ",
            r"cannot be listed\n  why: the store has no ",
        ),
        ("no server", r"cannot be written\n  why: \w+: ", r"cannot be listed\n"),
    ],
)
def test_an_s3_that_does_not_serve_is_one_error_before_anything_is_measured(
    project: Path, server: str, monkeypatch: pytest.MonkeyPatch, trouble: str, written: str, listed: str
) -> None:
    """4 where it was to be saved to, 12 where it was to be compared with; no trace of the library, nor of the key."""
    words = ("-o", "sd_baselines=s3://nobodys/baselines") if trouble == "no bucket" else ()
    if trouble == "no server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ask(f"{server}/moto-api/reset-auth", "POST", b"0" if trouble == "forbidden" else b"inf")  # requests it lets pass
    try:
        saved, gated = (pytest_in(project, *words, word) for word in ("--sd-save=main", "--sd-baseline=main"))
    finally:
        ask(f"{server}/moto-api/reset-auth", "POST", b"inf")

    for done, status, said in ((saved, 4, written), (gated, 12, listed)):
        shown = done.stdout + done.stderr
        assert done.returncode == status, shown
        assert re.search(said, shown), shown
        assert shown.count("ERROR: ") == 1
        assert "Traceback" not in shown
        assert "hunter2" not in shown
        assert "[1/1]" not in shown


def test_the_url_of_the_tests_is_opened_by_its_own_file_system(scripted: type[Scripted]) -> None:
    """Else the tests above would tell nothing of a store."""
    assert type(open_store(URL, option="sd_baselines").files) is Scripted
