"""What a case asks of the driver, counted at its stand-in: little between rounds, nothing inside them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from nvml_shim import gpu
from nvml_shim.fixtures import MakeShim

pytestmark = pytest.mark.slow

# Measures on a virtual clock with a real NVML below; notes each call of the target where NVML calls are noted.
MEASURE = """
import os, sys
from dataclasses import replace
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.devices.nvml import open_gpu
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.stopping import Rules

class Device(FakeDevice):
    driver = open_gpu(uuid="GPU-0001")

    def boundary(self):
        return self.driver.read_boundary()

def note(word):
    with open(os.environ["NVML_SHIM_LOG"], "a") as log:
        log.write(word + "\\n")

class Workload:
    def prepare(self):
        def call():
            note("BEGIN")
            output = device.generate(1)
            note("END")
            return output
        return [call]

device = Device()
found = measure(Workload(), device, Rules(rounds=6, warmup_calls=1))
print(len(found.rounds))
"""


def test_at_most_twelve_calls_between_rounds_and_none_inside(nvml_shim: MakeShim) -> None:
    """Six rounds: the driver is asked between them only, and never more than twelve times."""
    shim = nvml_shim(gpu())

    assert shim.python("-c", MEASURE) == "6\n"

    calls = shim.calls()
    begins = [index for index, word in enumerate(calls) if word == "BEGIN"]
    ends = [index for index, word in enumerate(calls) if word == "END"]
    inside = [end - begin - 1 for begin, end in zip(begins, ends, strict=True)]
    between = [begin - end - 1 for end, begin in zip(ends, begins[1:], strict=False)]
    assert inside == [0] * 7
    assert len(between) == 6  # behind the warm-up call, and between the rounds
    assert 0 < max(between[1:]) <= 12
    assert all(first == second for first, second in pairwise(between[1:]))
