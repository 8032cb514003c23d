"""Ask the runs what they measured: values by method, setting and seed, wins, matched divergence. Imports no torch.

Whatever is returned stands in the order of the seeds, so that two methods can be compared seed by seed.

Chapters 8 and 9.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .._files import read_json
from .annotators import wins
from .profiles import Profile
from .results import late_weights, load_results, read_curve

__all__ = ["Results", "Runs", "at_divergence"]


class Runs:
    """Hold the runs of one method in one setting, one a seed.

    Parameters
    ----------
    table : DataFrame
        One row a run, as `results.load_results` returns it, in the order of the seeds.

    Examples
    --------
    >>> runs = Runs(pd.DataFrame({"seed": [20, 21], "value": [[0.5, 0.25], [0.5, 0.75]], "kl": [1.0, 2.0]}))
    >>> runs["kl"].tolist(), runs.worst.tolist()
    ([1.0, 2.0], [0.25, 0.5])
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def __getitem__(self, column: str) -> NDArray:
        """Return what the runs measured.

        Parameters
        ----------
        column : str
            A metric, such as ``value``, ``kl`` or ``judge``.

        Returns
        -------
        ndarray, shape (S, ...)
            One a seed: a number, or a number for each group.
        """
        return np.array(self.table[column].tolist())

    @property
    def folders(self) -> list[Path]:
        """Where the runs lie, one folder a seed."""
        return [Path(folder) for folder in self.table["folder"]]

    @property
    def worst(self) -> NDArray[np.float64]:
        """Gold value of the worst-off group, in spreads of the reference, shape (S,)."""
        return self["value"].min(axis=1)

    @property
    def gold(self) -> NDArray[np.float64]:
        """Gold value of every text, in spreads of the reference, shape (S, U, n); all methods have the same prompts."""
        return np.array([read_json(folder / "gold.json") for folder in self.folders])

    @property
    def curves(self) -> list[pd.DataFrame]:
        """What the trainings logged, one table a seed, one row a step."""
        return [read_curve(folder) for folder in self.folders]

    def learned(self, kind: str) -> NDArray[np.float64]:
        """Return the mean of learned rewards over the texts that a policy was judged on.

        Parameters
        ----------
        kind : str
            Which rewards: ``single``, ``mixture`` or ``known``.

        Returns
        -------
        ndarray, shape (S, U)
        """
        return np.array([means[kind] for means in self.table["learned"]])

    def wins(self, over: "Runs") -> NDArray[np.float64]:
        """Return on which share of prompts each group values these texts above others; ties count half.

        Parameters
        ----------
        over : Runs
            Of another method, with the same seeds.

        Returns
        -------
        ndarray, shape (S, U)
        """
        return wins(self.gold, over.gold)

    def unsettled(self, *, n_steps: int = 10) -> NDArray[np.float64]:
        """Return how far the groups that have weight are above the worst, at the end of training.

        ``sum_u w_u m_u - min_u m_u`` with ``m`` the learned means of the final policy, ``w`` the weights of the last
        steps: zero when the weights have arrived where max-min wants them.

        Parameters
        ----------
        n_steps : int
            Over how many last steps weights are averaged.

        Returns
        -------
        ndarray, shape (S,)
            In learned spreads.
        """
        weights = [late_weights(c, g, n_steps=n_steps) for c, g in zip(self.curves, self.table["groups"], strict=True)]
        return np.array([w @ means - means.min() for w, means in zip(weights, self.learned("mixture"), strict=True)])


class Results:
    """Hold the runs of a profile, to be asked by setting and method.

    Parameters
    ----------
    table : DataFrame
        One row a run, as `results.load_results` returns it.
    beta : float
        The KL strength that is meant where none is named.

    Examples
    --------
    >>> row = {"setting": "1:1", "method": "maxmin", "beta": 0.1}
    >>> results = Results(pd.DataFrame([row | {"seed": 21, "kl": 2.0}, row | {"seed": 20, "kl": 1.0}]), 0.1)
    >>> results.of("1:1", "maxmin")["kl"].tolist()
    [1.0, 2.0]
    """

    def __init__(self, table: pd.DataFrame, beta: float) -> None:
        self.table, self.beta = table, beta

    @classmethod
    def load(cls, profile: Profile, root: Path | str, settings: Iterable[str] | None = None) -> "Results":
        """Return the runs of a profile.

        Parameters
        ----------
        profile : Profile
            Whose runs are read.
        root : Path or str
            The folder of all runs.
        settings : iterable of str or None
            Names of ``settings.SETTINGS``; None is all.

        Returns
        -------
        Results

        Raises
        ------
        ValueError
            On an unknown setting, or a run that is missing: says which command makes it.
        """
        return cls(load_results(profile, root, settings), profile.beta)

    def methods(self, setting: str) -> list[str]:
        """Return what was run in a setting at the profile's KL strength, in the order of the table.

        Parameters
        ----------
        setting : str
            Whose annotators.

        Returns
        -------
        list of str
        """
        here = self.table[(self.table.setting == setting) & (self.table.beta == self.beta)]
        return list(dict.fromkeys(here.method))

    def of(self, setting: str, method: str, *, beta: float | None = None) -> Runs:
        """Return the runs of a method.

        Parameters
        ----------
        setting : str
            Whose annotators.
        method : str
            What was trained.
        beta : float or None
            The KL strength; None is the profile's.

        Returns
        -------
        Runs

        Raises
        ------
        ValueError
            Where there is no such run: says which there are.
        """
        beta = self.beta if beta is None else beta
        here = self.table[self.table.setting == setting]
        rows = here[(here.method == method) & (here.beta == beta)].sort_values("seed")
        if rows.empty:
            known = sorted({f"{name} at {b:g}" for name, b in zip(here.method, here.beta, strict=True)})
            raise ValueError(
                f"method: expected one of {', '.join(known) or 'none'}, got {method} at {beta:g} in {setting}"
            )
        return Runs(rows)

    def frontier(
        self, setting: str, method: str, betas: Sequence[float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return divergence and gold values of a method at several KL strengths.

        Parameters
        ----------
        setting : str
            Whose annotators.
        method : str
            What was trained.
        betas : sequence of float, length B
            The KL strengths.

        Returns
        -------
        kl : ndarray, shape (B, S)
            In nats a text.
        values : ndarray, shape (B, S, U)
            Gold values.

        Raises
        ------
        ValueError
            Where there is no such run: says which there are.
        """
        runs = [self.of(setting, method, beta=beta) for beta in betas]
        return np.array([each["kl"] for each in runs]), np.array([each["value"] for each in runs])

    def matched(
        self, setting: str, method: str, along: str, betas: Sequence[float], *, clipped: bool = False
    ) -> NDArray[np.float64]:
        """Return what another method's frontier gives at the divergence of a method, seed by seed.

        Parameters
        ----------
        setting : str
            Whose annotators.
        method : str
            Whose divergence.
        along : str
            Whose frontier is read.
        betas : sequence of float
            The KL strengths of the frontier.
        clipped : bool
            Whether a divergence beyond the frontier is taken to its end, instead of being an error.

        Returns
        -------
        ndarray, shape (S, U)
            Gold values.

        Raises
        ------
        ValueError
            On a divergence beyond the frontier of its seed, or where there is no such run.
        """
        kl, values = self.frontier(setting, along, betas)
        target = self.of(setting, method)["kl"]
        if clipped:
            target = np.minimum(target, kl.max(axis=0))
        return at_divergence(target, kl, values, self.of(setting, "reference")["value"][0])


def at_divergence(target: ArrayLike, kl: ArrayLike, values: ArrayLike, origin: ArrayLike) -> NDArray[np.float64]:
    """Return the values that a frontier has at a divergence, seed by seed: what a method gives at another's KL.

    Linear in the square root of the divergence, as values near the reference rise with it, between the points of the
    frontier and the reference. An estimate of the divergence below zero counts as zero.

    Parameters
    ----------
    target : array_like, shape (S,)
        Wanted divergence, in nats, one a seed.
    kl : array_like, shape (B, S)
        Divergence of runs at B strengths of KL, in nats.
    values : array_like, shape (B, S, U)
        Values of these runs.
    origin : array_like, shape (U,)
        Values of the reference, at no divergence.

    Returns
    -------
    ndarray, shape (S, U)

    Raises
    ------
    ValueError
        On a target beyond the frontier of its seed.

    Examples
    --------
    >>> at_divergence([2.25], [[1.0], [4.0]], [[[2.0]], [[6.0]]], [0.0]).tolist()
    [[4.0]]
    """
    kl, values = np.asarray(kl, dtype=float), np.asarray(values, dtype=float)
    found = np.empty(values.shape[1:])
    for s, wanted in enumerate(np.sqrt(np.maximum(target, 0))):
        order = np.argsort(kl[:, s])
        root = np.sqrt(np.maximum(np.append(0, kl[order, s]), 0))
        if wanted > root[-1]:
            raise ValueError(f"target: expected at most {root[-1] ** 2:.3f} nats for seed {s}, got {wanted**2:.3f}")
        for u, zero in enumerate(np.asarray(origin)):
            found[s, u] = np.interp(wanted, root, np.append(zero, values[order, s, u]))
    return found
