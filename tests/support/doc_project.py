"""What a reader of a page is taken to have: a project, a device on which nothing takes time, run files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from doc_blocks import blocks
from PIL import Image
from reported import case, record, run

from pytest_sdbatch.pipelines import build
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.records import Fact, Run
from pytest_sdbatch.storage.run_file import write_run

PROJECT = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
# A reader's own application, for pages that time one.
APP = """
import numpy


def generate(prompts, generators):
    return numpy.random.default_rng(0).random((len(prompts), 8, 8, 3))
"""
# A reader's own training, for pages that time a step of it.
TRAINING = """
import torch


class Model(torch.nn.Linear):
    def loss(self, batch):
        return (self(batch) - batch).square().mean()


model = Model(8, 8)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)


def next_batch(size):
    return torch.ones(size, 8)
"""
# A conftest file: a device on which nothing takes time, and a pipeline for it: runs differ in nothing, as fast as
# Python goes. The benchmarks that ship with the package lie elsewhere, and get the pipeline by a plugin.
PRETENDED = """
from types import SimpleNamespace

import numpy
import pytest

from pytest_sdbatch.bridges import pytest_items
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.pipelines.pool import Loaded
from pytest_sdbatch.records import Reading, Weights

DEVICE = FakeDevice(seconds_per_call=0.02, seconds_per_image=0.01, name="cpu")


def pytest_sdbatch_make_device(name):
    return DEVICE


class Unet:
    def forward(self):
        DEVICE.submit(0.02)

    def __call__(self):
        return self.forward()

    def state_dict(self):
        return {}


class Pipeline:
    def __init__(self, case):
        self.unet = Unet()
        self.components = {"unet": self.unet}
        self.image = numpy.random.default_rng(0).random((3, case.height, case.width))

    def __call__(self, prompt, num_inference_steps=1, **rest):
        DEVICE.generate(len(prompt))
        for _ in range(num_inference_steps):
            self.unet()
        return SimpleNamespace(images=numpy.broadcast_to(self.image, (len(prompt), *self.image.shape)))


def load(node, case):
    pipeline, held = Pipeline(case), Reading(value=2**30)
    node.stash[pytest_items.LOADED] = Loaded(
        pipeline=pipeline, load_s=1.0, model_bytes=held, before_load=Reading(value=0), after_load=held,
        weights=Weights(kind=case.weights), parameters=132_000,
    )
    return pipeline


@pytest.fixture
def sd_loaded_pipeline(request, sd_case):
    return load(request.node, sd_case)


class Everywhere:
    @pytest.fixture
    def sd_loaded_pipeline(self, request, sd_case):
        return load(request.node, sd_case)


def pytest_configure(config):
    config.pluginmanager.register(Everywhere())
"""


def make_project(folder: Path, page: str) -> None:
    """Make in *folder* the project that a reader of *page* is taken to have."""
    text = "".join(block.text for block in blocks(page))
    (folder / "benchmarks").mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "app.py").write_text(APP)
    if "my_training" in text:
        (folder / "my_training.py").write_text(TRAINING)
    if "=photos" in text:
        (folder / "photos").mkdir()
        for number in range(8):
            Image.new("RGB", (64, 64), (30 * number, 90, 30)).save(folder / "photos" / f"{number}.png")
    if "./my-model" in text:
        pipeline = build.build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)
        pipeline.save_pretrained(folder / "my-model")


def keep_runs(folder: Path, commands: str) -> None:
    """Store in *folder* the runs that the *commands* of a page read and none of them writes."""
    slower, other = {"commit": "ffff0000"}, {"device_name": "NVIDIA L4"}
    files = {
        "base.json": [run(number=k) for k in range(4)],
        "new.json": [run(*(record(size, number=9) for size in (1, 2, 4)), number=9, where=slower)],
        "h100.json": [run(number=20)],
        "l4.json": [run(*(record(size, c_s=0.4) for size in (1, 2, 4)), number=21, where=other)],
        "run.json": [run(number=22)],
    }
    for name, runs in files.items():
        if re.search(rf"(?<!report=)\b{name}\b", commands) and f"--sd-report={name}" not in commands:
            write_run(folder / name, runs)


def keep_changed(folder: Path) -> None:
    """Store in *folder* four runs of a base, one of them disturbed at batch size 4, and one of a slower version."""
    for name in ("base.json", "new.json"):
        (folder / name).unlink(missing_ok=True)
    write_run(folder / "base.json", [_on_a_cpu(k, call_s=0.0251, disturbed=1.7 if k == 2 else 1.0) for k in range(4)])
    write_run(folder / "new.json", [_on_a_cpu(9, call_s=0.0468)])


def _on_a_cpu(number: int, *, call_s: float, disturbed: float = 1.0) -> Run:
    """Return a run of batch sizes 1 and 4 of the tiny model."""
    records = []
    for size in (1, 4):
        factor = disturbed if size == 4 else 1.0
        tiny = case(size, model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4)
        made = record(size, a_s=call_s * factor, c_s=0.0045 * factor, number=number)
        records.append(replace(made, case=tiny, memory_source="host_peak_bytes", memory_round=None))
    where: dict[str, Fact] = {
        "device_kind": "cpu",
        "device_name": "A CPU",
        "device_uuid": "",
        "driver": "",
        "power_limit_w": 0,
    }
    return run(*records, number=number, where=where)
