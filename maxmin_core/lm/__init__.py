"""The language-model experiment: text, policy, simulated annotators, rewards, training. torch lives here alone."""

import os

# TRL refuses one process that sees several GPUs. torchrun gives every process its own.
if "WORLD_SIZE" not in os.environ:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
