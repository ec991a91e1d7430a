"""The examples of docs/how-to/http-apps.md, against a server that answers as those programs do."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "http-apps.md"
WORKFLOW = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 1, "latent_image": ["5", 0]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"batch_size": 1, "height": 8, "width": 8}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "it", "images": ["3", 0]}},
}


def png(seed: int) -> bytes:
    """Return a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), format="PNG")
    return file.getvalue()


class Programs(ThreadingHTTPServer):
    """Both programs behind one port; they note what they were asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[dict[str, Any]] = []
        self.workflows: list[dict[str, Any]] = []
        self.looks: dict[str, int] = {}  # at the history, by workflow
        self.fails = False
        self.loses = False  # what is queued

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Programs

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""

    def do_POST(self) -> None:
        """Make images, or queue a workflow."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/sdapi/v1/txt2img":
            self.server.asked.append(body)
            seeds = range(body["seed"], body["seed"] + body["batch_size"] * body["n_iter"])
            images = [base64.b64encode(png(seed)).decode() for seed in seeds]
            self._send({"images": images, "parameters": body, "info": json.dumps({"all_seeds": list(seeds)})})
        elif self.path == "/prompt":
            self.server.workflows.append(body["prompt"])
            number = len(self.server.workflows)
            self._send({"prompt_id": str(number), "number": number, "node_errors": {}})
        else:
            self.send_error(404)

    def do_GET(self) -> None:
        """Tell how a workflow ended, from the second time on, or send a file."""
        url = urlsplit(self.path)
        folder, _, name = url.path.removeprefix("/").partition("/")
        if folder == "history":
            self.server.looks[name] = self.server.looks.get(name, 0) + 1
            ended = self.server.looks[name] > 1 and not self.server.loses
            self._send({name: self._ended(name)} if ended else {})
        elif folder == "view":
            (file,) = parse_qs(url.query)["filename"]
            self._send_bytes(png(int(file.removesuffix(".png"))), "image/png")
        else:
            self.send_error(404)

    def _ended(self, prompt_id: str) -> dict[str, Any]:
        if self.server.fails:
            messages = [["execution_error", {"exception_type": "torch.OutOfMemoryError"}]]
            return {"outputs": {}, "status": {"status_str": "error", "completed": False, "messages": messages}}
        latent, sampler = (self.server.workflows[int(prompt_id) - 1][node]["inputs"] for node in ("5", "3"))
        files = [
            {"filename": f"{sampler['seed'] + image}.png", "subfolder": "", "type": "output"}
            for image in range(latent["batch_size"])
        ]
        status = {"status_str": "success", "completed": True, "messages": []}
        return {"outputs": {"9": {"images": files}}, "status": status}

    def _send(self, answer: object) -> None:
        self._send_bytes(json.dumps(answer).encode(), "application/json")

    def _send_bytes(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def programs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    """Let both programs run, and the examples of the page find them."""
    for source in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        (name,) = re.findall(r"^# (test_\w+)\.py\n", source)
        pytester.makepyfile(**{name: source})
    (pytester.path / "workflow_api.json").write_text(json.dumps(WORKFLOW))
    with Programs() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        for name in ("WEBUI", "COMFYUI"):
            monkeypatch.setenv(name, server.url)
        yield server
        server.shutdown()
        thread.join()


def run(pytester: pytest.Pytester, command: str) -> pytest.RunResult:
    """Run what the page says, with few rounds."""
    words = ("-p", "no:cacheprovider", "-o", "sd_rounds=3", "-o", "sd_warmup_calls=1", "-o", "sd_memory_round=no")
    return pytester.runpytest_inprocess(*words, *command.split())


def commands(file: str) -> list[str]:
    """Return what the page says to run for *file*: its batch sizes, and the splits of eight images."""
    sizes, splits = re.findall(rf"^\$ pytest ({file}.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [sizes, splits]


def test_a_request_of_the_web_ui_makes_all_batches(pytester: pytest.Pytester, programs: Programs) -> None:
    """Each size once, then every split of eight images, in one request a round with size and count apart."""
    sizes, splits = commands("test_webui.py")
    run(pytester, sizes).assert_outcomes(passed=3)
    assert {(body["batch_size"], body["n_iter"]) for body in programs.asked} == {(1, 1), (2, 1), (4, 1)}
    assert {body["width"] for body in programs.asked} == {512}

    programs.asked.clear()
    result = run(pytester, splits)

    result.assert_outcomes(passed=4)
    assert {(body["batch_size"], body["n_iter"]) for body in programs.asked} == {(1, 8), (2, 4), (4, 2), (8, 1)}
    assert {body["seed"] for body in programs.asked} == {0}
    assert "webui-own-fp16-512x512-s20" in result.stdout.str()
    assert "8 images: " in result.stdout.str()


def test_a_workflow_of_comfyui_is_queued_as_often_as_there_are_batches(
    pytester: pytest.Pytester, programs: Programs
) -> None:
    """Never twice the same, which would not be run again."""
    sizes, splits = commands("test_comfyui.py")
    run(pytester, sizes).assert_outcomes(passed=3)
    assert {made["5"]["inputs"]["batch_size"] for made in programs.workflows} == {1, 2, 4}

    programs.workflows.clear()
    programs.looks.clear()
    run(pytester, splits).assert_outcomes(passed=4)

    by_size = [made["5"]["inputs"]["batch_size"] for made in programs.workflows]
    calls = 1 + 3  # warm-up and rounds
    assert [by_size.count(size) for size in (1, 2, 4, 8)] == [8 * calls, 4 * calls, 2 * calls, calls]
    assert len({json.dumps(made) for made in programs.workflows}) == len(programs.workflows)


def test_an_error_of_comfyui_is_the_tests(pytester: pytest.Pytester, programs: Programs) -> None:
    """What the program says is in the failure, and no time is told."""
    programs.fails = True
    result = run(pytester, "test_comfyui.py --sd-device=cpu --sd-batch-sizes=4")

    result.assert_outcomes(failed=1)
    assert "torch.OutOfMemoryError" in result.stdout.str()
    assert "crashed" in result.stdout.str()


def test_a_workflow_that_never_ends_is_given_up(
    pytester: pytest.Pytester, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the test's failure, and the run goes on."""
    programs.loses = True
    monkeypatch.setenv("PATIENCE_S", "0.1")
    result = run(pytester, "test_comfyui.py --sd-device=cpu --sd-batch-sizes=1,2")

    result.assert_outcomes(failed=2)
    assert "ComfyUI: workflow 1 did not end within 0.1 s" in result.stdout.str()
