"""The shared core of the MaxMin-RLHF companion: one module per noun, nothing heavier than numpy and scipy on import."""

__version__ = "0.1.0"
