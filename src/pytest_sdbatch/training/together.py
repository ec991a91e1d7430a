"""Several processes that train one network, as ``accelerate launch`` starts them: who is who, and what they agree on.

The first one measures, decides and writes; the others make the same steps and say nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.errors import OptionError

_LONGEST_WAIT_S = 600  # for a process that is behind; then it is taken for dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """The place of this process among those that train together."""

    rank: int = 0
    local_rank: int = 0  # among those on this machine
    count: int = 1

    @property
    def follows(self) -> bool:
        """Whether another process measures, decides and writes."""
        return self.rank > 0

    def agree(self, decided: bool, device: str = "cpu") -> bool:
        """Return what the first process *decided*: they go on together, or stop together."""
        if self.count == 1:
            return decided
        import torch

        self._accelerator(device)
        where = "cpu" if device == "cpu" else f"cuda:{self.local_rank}"
        word = torch.tensor([int(decided)], device=where)
        torch.distributed.broadcast(word, src=0)
        return bool(word.item())

    def wrap(self, network: Any, device: str) -> Any:
        """Return *network* such that its gradients are the mean over all processes."""
        return network if self.count == 1 else self._accelerator(device).prepare_model(network)

    def alone(self, network: Any, device: str) -> AbstractContextManager[Any]:
        """Return a context whose gradients stay with this process, to be shared with the next ones."""
        return nullcontext() if self.count == 1 else self._accelerator(device).no_sync(network)

    def end(self) -> None:
        """Leave the others; each of them has done its tests."""
        if self.count > 1:
            import torch

            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()

    def _accelerator(self, device: str) -> Any:
        from datetime import timedelta

        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs

        waits = InitProcessGroupKwargs(timeout=timedelta(seconds=_LONGEST_WAIT_S))
        return Accelerator(cpu=device == "cpu", kwargs_handlers=[waits])


def together(variables: Mapping[str, str] = os.environ) -> Together:
    """Return the place of this process by the variables that ``accelerate launch`` and ``torchrun`` set.

    Raises:
        OptionError: for variables that say no place.

    """
    try:
        found = Together(
            rank=int(variables.get("RANK", 0)),
            local_rank=int(variables.get("LOCAL_RANK", 0)),
            count=int(variables.get("WORLD_SIZE", 1)),
        )
    except ValueError:
        found = Together(count=0)
    if not 0 <= found.rank < found.count:
        raise OptionError(
            f"RANK={variables.get('RANK')} of WORLD_SIZE={variables.get('WORLD_SIZE')} is no process of several",
            fix="unset both, or start with accelerate launch",
        )
    return found
