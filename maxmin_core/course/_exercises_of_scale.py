"""The judges of the exercises of chapter 10: arrays are laid out and counted, and no formula of a solution is used."""

from collections.abc import Iterator

import numpy as np

from ._exercise_answers import numbers
from .judging import Ask, Check

Checks = Iterator[Check]


def thin(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 10: the two matrices themselves."""
    shapes = [(4, 4), (7, 3), *((int(a), int(b)) for a, b in rng.integers(2, 40, size=(4, 2)))]

    def size(n_in, n_out, rank):
        down, up = np.zeros((rank, n_in)), np.zeros((n_out, rank))
        assert (up @ down).shape == (n_out, n_in)
        return down.size + up.size

    counted = all(
        float(numbers(ask("adapter_size", *shape, rank), ())) == size(*shape, rank)
        for shape in shapes
        for rank in (1, 5)
    )
    yield Check(1, counted, "the numbers in the two matrices")
    smallest = all(
        float(numbers(ask("no_longer_smaller", *shape), ()))
        == next(rank for rank in range(1, 80) if size(*shape, rank) >= np.zeros(shape).size)
        for shape in shapes
    )
    yield Check(1, smallest, "the first rank at which they are as many as the layer's")


def fit(ask: Ask, rng: np.random.Generator) -> Checks:
    """Chapter 10: bytes of arrays of the right types."""
    total, step = True, True
    for n, a, groups in rng.integers(2, 60, size=(6, 3)).tolist():
        parts = [np.zeros(n, np.float32), np.zeros(n, np.float16)]
        # Weights, gradient and two moments; then what every group adds.
        parts += [np.zeros(a, np.float32)] * 4 + [np.zeros(a, np.float32)] * groups
        found = float(numbers(ask("bytes_of", n, a, groups), ()))
        more = float(numbers(ask("bytes_of", n, a, groups + 1), ()))
        total &= found == sum(part.nbytes for part in parts)
        step &= more - found == parts[-1].nbytes
    yield Check(1, bool(total), "the bytes of all parts together")
    yield Check(1, bool(step), "what another group adds")
