"""What all tests share: no network, and property tests that stay within seconds."""

from __future__ import annotations

import os

from hypothesis import settings

# Before huggingface_hub is imported by anyone: it reads this once.
os.environ["HF_HUB_OFFLINE"] = "1"

pytest_plugins = ["pytester", "nvml_shim.fixtures"]

# The clock of a shared machine is no property of the code, hence no deadline.
settings.register_profile("sdbatch", deadline=None, max_examples=50)
settings.load_profile("sdbatch")
