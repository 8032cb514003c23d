"""Where the instances of a search come from, and whether many at once fit together."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sampler"]


class Sampler(NamedTuple):
    """Hold a way from standard normal coordinates to instances: what a search draws from and descends in.

    Parameters
    ----------
    decode : callable
        Takes coordinates (B, dimension) and returns B instances at once, of whatever kind the statement reads.
    dimension : int
        How many coordinates one instance has, at least 1.

    Examples
    --------
    >>> coins = Sampler(lambda x: 1 / (1 + np.exp(-x[:, 0])), 1)
    >>> coins.draw(3, 0).round(3)
    array([0.531, 0.467, 0.655])
    """

    decode: Callable[[NDArray[np.float64]], Any]
    dimension: int

    def draw(self, n: int, seed: int | np.random.Generator) -> Any:
        """Return n random instances.

        Parameters
        ----------
        n : int
            How many instances to draw.
        seed : int or numpy.random.Generator
            The seed, or the generator to draw from.

        Returns
        -------
        object
            n instances at once, as `decode` makes them.
        """
        return self.decode(np.random.default_rng(seed).normal(size=(n, self.dimension)))


def check_shapes(sizes, parts):
    """Raise ValueError where arrays do not fit together.

    sizes : sizes that are known, by letter; parts : (name, array, letters of its axes), the first to use a letter
    decides what size it stands for.
    """
    sizes = dict(sizes)
    for name, array, axes in parts:
        shape = np.shape(array)
        known = [str(sizes.get(axis, axis)) for axis in axes]
        if len(shape) != len(axes) or any(sizes.setdefault(a, n) != n for a, n in zip(axes, shape, strict=True)):
            raise ValueError(f"{name}: expected shape ({', '.join(known)}), got {shape}")
