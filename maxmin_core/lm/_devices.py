"""Which GPU a process sees. That is settled before PyTorch looks for one, where torch is first imported."""

import gc
import os

__all__ = ["free", "see_one_gpu"]


def see_one_gpu():
    """Let a process see one GPU, unless told otherwise: TRL refuses one that sees several.

    A process that torchrun started has its own already.
    """
    if "WORLD_SIZE" not in os.environ:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def free():
    """Give back what nobody refers to any more: a trainer and its model refer to each other."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
