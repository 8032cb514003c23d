"""Which GPU a process sees. That is settled before PyTorch looks for one, where torch is first imported."""

import os

__all__ = ["see_one_gpu"]


def see_one_gpu():
    """Let a process see one GPU, unless told otherwise: TRL refuses one that sees several.

    A process that torchrun started has its own already.
    """
    if "WORLD_SIZE" not in os.environ:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
