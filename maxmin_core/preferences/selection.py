"""How many groups: held-out annotators and BIC.

Chapter 4.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import logsumexp

from .._validation import is_count
from .._warnings import warn
from .comparisons import Comparisons
from .mixture import fit_mixture

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["select_n_groups"]


def select_n_groups(
    comparisons: Comparisons,
    candidates: Iterable[int],
    *,
    criterion: Literal["heldout", "bic", "bic_comparisons"] = "heldout",
    n_folds: int = 5,
    seed: int = 0,
    **fit: Any,
) -> pd.DataFrame:
    """Compare numbers of groups: held-out log-likelihood over annotators, and BIC with either meaning of n.

    Every fold holds out whole annotators, who are scored by ``log sum_u eta(u) prod_j p_u(j)``.

    Parameters
    ----------
    comparisons : Comparisons
        The choices; every annotator from 0 on makes at least one.
    candidates : iterable of int
        Numbers of groups to compare.
    criterion : {"heldout", "bic", "bic_comparisons"}
        What decides the column 'chosen': held-out annotators, or BIC with n annotators or n comparisons, which
        count their weight.
    n_folds : int
        The number of folds, from 2 to the number of annotators.
    seed : int
        Where the folds come from, and the starts of every fit.
    **fit
        Further arguments of `fit_mixture`, but not `start`.

    Returns
    -------
    pandas.DataFrame
        Indexed by n_groups, with columns log_likelihood, bic and bic_comparisons of the fit to all data; heldout, in
        nats per annotator; behind, how far that is behind the best candidate, and behind_se, the standard error of
        that paired difference; chosen, true for one row.

    Raises
    ------
    ValueError
        On no candidates, more groups than annotators in a fold's training part, an unknown criterion, folds out of
        range, a seed that is no integer, a start, or what `fit_mixture` refuses.

    Warns
    -----
    RuntimeWarning
        Of what `fit_mixture` warned of, on all data or in some fold; and when the objective with K groups is below
        that with fewer, which more restarts mend.

    References
    ----------
    Smyth (2000). Model selection for probabilistic clustering using cross-validated likelihood. Statistics and
    Computing 10(1).

    Examples
    --------
    >>> import numpy as np
    >>> from maxmin_core import Population, select_n_groups, simulate_comparisons
    >>> population = Population([0.5, 0.5], [[2.0, 0.0, -2.0], [-2.0, 0.0, 2.0]])
    >>> comparisons, _ = simulate_comparisons(population, np.eye(3), 100, 20, seed=0)
    >>> table = select_n_groups(comparisons, [1, 2], l2=0.1)
    >>> table.index[table.chosen].tolist()
    [2]
    """
    import pandas as pd

    candidates = sorted(set(candidates))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ValueError(f"seed: expected an integer, as every fit begins with it anew, got {seed!r}")
    n = comparisons.n_annotators
    if not candidates:
        raise ValueError("candidates: expected at least one number of groups, got none")
    if criterion not in ("heldout", "bic", "bic_comparisons"):
        raise ValueError(f"criterion: expected 'heldout', 'bic' or 'bic_comparisons', got {criterion!r}")
    if not isinstance(n_folds, int | np.integer) or not 2 <= n_folds <= n:
        raise ValueError(f"n_folds: expected an integer in 2..{n}, got {n_folds!r}")
    fold = np.random.default_rng(seed).permutation(n) % n_folds
    most = n - int(np.bincount(fold).max())
    if not all(is_count(k) and k <= most for k in candidates):
        raise ValueError(f"candidates: expected integers in 1..{most}, the annotators left by a fold, got {candidates}")
    if "start" in fit:
        raise ValueError("start: expected none, as every fold has other annotators")
    rows, scores, reached = [], [], {}
    for k in candidates:
        whole, said = _fit(comparisons, k, seed, fit)
        heldout, troubled = np.empty(n), []
        for f in range(n_folds):
            train, test = (comparisons.take(np.flatnonzero(part)) for part in (fold != f, fold == f))
            fitted, found = _fit(train, k, seed, fit)
            heldout[fold == f] = logsumexp(fitted._joint(test), axis=1)
            troubled += found[:1]
        if troubled:
            said.append(f"in {len(troubled)} of {n_folds} folds, the first: {troubled[0]}")
        reached[k] = whole.history[-1]
        ahead = max(reached, key=lambda groups: reached[groups])
        if reached[k] < reached[ahead]:
            said.append(
                f"the objective, {reached[k]:.3f}, is below that with {ahead}, {reached[ahead]:.3f}; expected more "
                "restarts or another seed"
            )
        for sentence in said:
            warn(f"select_n_groups: with {k} groups, {sentence}")
        bic, by_comparisons = whole.bic(comparisons), whole._criterion(comparisons, comparisons.weight.sum())
        rows.append((k, whole.log_likelihood, bic, by_comparisons, heldout.mean()))
        scores.append(heldout)
    columns = ["n_groups", "log_likelihood", "bic", "bic_comparisons", "heldout"]
    table = pd.DataFrame(rows, columns=columns).set_index("n_groups")
    behind = np.array(scores)[int(np.argmax(table.heldout))] - np.array(scores)
    table["behind"], table["behind_se"] = behind.mean(axis=1), behind.std(axis=1, ddof=1) / np.sqrt(n)
    score = table.heldout if criterion == "heldout" else -table[criterion]
    table["chosen"] = table.index == score.idxmax()
    return table


def _fit(comparisons, n_groups, seed, options):
    """Return the fit and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fit_mixture(comparisons, n_groups, seed=seed, **options)
    return found, [str(warning.message) for warning in caught]
