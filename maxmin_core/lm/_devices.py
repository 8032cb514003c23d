"""Which GPU a process sees, and how processes wait for each other.

The first is settled before PyTorch looks for a GPU, where torch is first imported.
"""

import gc
import os
from datetime import timedelta

__all__ = ["PATIENCE", "free", "join", "see_one_gpu"]

# One process draws the reference's texts or asks a judge while the others wait: minutes to hours. NCCL's own limit, ten
# minutes, would end them all; a process that dies ends the others anyway, by torchrun.
PATIENCE = timedelta(days=1)


def see_one_gpu():
    """Let a process see one GPU, unless told otherwise: TRL refuses one that sees several.

    A process that torchrun started has its own already.
    """
    if "WORLD_SIZE" not in os.environ:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def join(cpu):
    """Return accelerate's state: this process joins the others, if there are any, and waits for them patiently.

    On a GPU numbers of 32 bits are multiplied in TF32 from here on: several times as fast, with errors of about 1e-3.
    """
    import torch
    from accelerate import PartialState

    if not cpu:
        torch.set_float32_matmul_precision("high")
    return PartialState(cpu=cpu, timeout=PATIENCE)


def free():
    """Give back what nobody refers to any more: a trainer and its model refer to each other."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
