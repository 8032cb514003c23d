"""How sure an average is: intervals over seeds, prompts or people, the bootstrap, and a permutation test.

Chapters 1, 4 and 7 to 9.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from ._validation import as_float, is_count

__all__ = [
    "PermutationTest",
    "VarianceParts",
    "bootstrap",
    "mean_interval",
    "percentile_interval",
    "permutation_test",
    "variance_parts",
]


class PermutationTest(NamedTuple):
    """Hold what `permutation_test` found.

    Attributes
    ----------
    statistic : float
        Its value under the labels as they are.
    p_value : float
        The share of labellings, the present one included, whose statistic is at least as large.
    null : ndarray, shape (n_resamples,)
        Its values under shuffled labels.

    Examples
    --------
    >>> statistic, p_value, null = PermutationTest(0.4, 0.02, np.array([0.1, 0.2]))
    >>> p_value
    0.02
    """

    statistic: float
    p_value: float
    null: NDArray[np.float64]


class VarianceParts(NamedTuple):
    """Hold what `variance_parts` found: unbiased estimates, which may be negative where a part is small.

    Attributes
    ----------
    outer : float
        Variance of what is drawn once a row.
    inner : float
        Variance of what is drawn once an entry, but held in the repeated draws.
    rest : float
        Variance of what is drawn every time.

    Examples
    --------
    >>> VarianceParts(0.5, 0.25, 0.25).outer
    0.5
    """

    outer: float
    inner: float
    rest: float


def mean_interval(draws: ArrayLike, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over the first axis and half the width of its two-sided interval, by Student's t.

    The interval is ``mean ± t sd / sqrt(n)`` with t the quantile of n - 1 degrees of freedom and sd the standard
    deviation with divisor n - 1. It applies to the mean of independent draws from one law: seeds, prompts, people. It
    is exact when they are normal, and good from a few dozen draws on when they are not strongly skewed. Where several
    draws share something (a fit, a person, a prompt), average those first.

    Parameters
    ----------
    draws : array_like, shape (n, ...)
        One entry a seed, prompt, person or instance, at least two.
    level : float
        The probability with which the interval covers the true mean, between 0 and 1.

    Returns
    -------
    mean : ndarray, shape (...)
        The mean over the first axis.
    half : ndarray, shape (...)
        Half the width of the interval.

    Raises
    ------
    ValueError
        On fewer than two draws, or a level that is not between 0 and 1.

    References
    ----------
    Student (1908). The probable error of a mean. Biometrika 6(1).

    Examples
    --------
    >>> mean, half = mean_interval([0.61, 0.64, 0.58, 0.65])
    >>> print(f"{mean:.2f} ± {half:.2f}")
    0.62 ± 0.05
    """
    draws = np.asarray(draws, dtype=float)
    if not len(draws) > 1:
        raise ValueError(f"draws: expected at least two, got {len(draws)}")
    t = stdtrit(len(draws) - 1, (1 + _as_level(level)) / 2)
    return draws.mean(axis=0), t * (draws.std(axis=0, ddof=1) / np.sqrt(len(draws)))


def variance_parts(draws: ArrayLike, repeated: ArrayLike) -> VarianceParts:
    """Return how much of the variance of a measurement each of three things that are drawn contributes.

    With ``draws[r, s] = m + a_r + b_rs + e_rs`` and ``repeated[t] = m' + e_t``: ``rest`` is the variance of
    ``repeated``, ``inner`` that within the rows of ``draws`` less ``rest``, ``outer`` that of the rows' means less what
    the entries of a row contribute to their mean.

    Parameters
    ----------
    draws : array_like, shape (R, S)
        One row for each draw of the outer thing, at least two; within a row the others are drawn anew.
    repeated : array_like, shape (T,)
        Outer and inner thing held, at least two.

    Returns
    -------
    VarianceParts

    Raises
    ------
    ValueError
        On fewer than two rows, entries of a row, or repeated draws.

    Source
    ------
    The analysis of variance of a nested design; Searle, Casella, McCulloch (1992), Variance Components, chapter 3.

    Examples
    --------
    >>> variance_parts([[1.0, 3.0], [5.0, 7.0]], [2.0, 4.0])
    VarianceParts(outer=7.0, inner=0.0, rest=2.0)
    """
    draws, repeated = as_float("draws", draws, ("R", "S")), as_float("repeated", repeated, ("T",))
    for name, size in (
        ("rows of draws", len(draws)),
        ("entries of a row", draws.shape[1]),
        ("repeated", len(repeated)),
    ):
        if size < 2:
            raise ValueError(f"{name}: expected at least two, got {size}")
    within, rest = draws.var(axis=1, ddof=1).mean(), repeated.var(ddof=1)
    outer = draws.mean(axis=1).var(ddof=1) - within / draws.shape[1]
    return VarianceParts(float(outer), float(within - rest), float(rest))


def percentile_interval(draws: ArrayLike, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the middle part of bootstrap draws: the percentile interval.

    The ends are the quantiles ``(1 - level) / 2`` and ``(1 + level) / 2`` over the first axis. As an interval for a
    statistic this is first-order accurate: about right when there are many people and the statistic has little bias.

    Parameters
    ----------
    draws : array_like, shape (n_resamples, ...)
        A statistic in every resample, see `bootstrap`.
    level : float
        The share of the draws between the ends, between 0 and 1.

    Returns
    -------
    low : ndarray, shape (...)
        The lower end.
    high : ndarray, shape (...)
        The upper end.

    Raises
    ------
    ValueError
        On no draws, or a level that is not between 0 and 1.

    References
    ----------
    Efron (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1).

    Examples
    --------
    >>> low, high = percentile_interval(range(101), level=0.9)
    >>> round(float(low), 9), round(float(high), 9)
    (5.0, 95.0)
    """
    draws = np.asarray(draws, dtype=float)
    if not len(draws):
        raise ValueError("draws: expected at least one, got none")
    level = _as_level(level)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], ArrayLike],
    n_people: int,
    *,
    n_resamples: int = 2000,
    seed: int | np.random.Generator = 0,
) -> NDArray[np.float64]:
    """Return a statistic of people who are drawn again and again with replacement.

    What one person did stays together: resample people, not their single choices. With
    ``comparisons.take(people)`` the statistic gets the comparisons of the people drawn; a fit that takes weights can
    use ``numpy.bincount(people, minlength=n_people)`` instead.

    Parameters
    ----------
    statistic : callable
        Takes indices of people, (n_people,) int with repetitions, and returns a number or an array of fixed shape.
    n_people : int
        How many people there are, and how many are drawn each time.
    n_resamples : int
        How many times.
    seed : int or numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    ndarray, shape (n_resamples, ...)
        The statistic of every resample; `percentile_interval` makes an interval of them.

    Raises
    ------
    ValueError
        On a number of people or of resamples that is no integer of at least 1.

    References
    ----------
    Efron (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1).

    Examples
    --------
    >>> age = np.array([18.0, 25.0, 31.0, 47.0, 62.0])
    >>> draws = bootstrap(lambda people: age[people].mean(), 5, n_resamples=1000)
    >>> low, high = percentile_interval(draws)
    >>> bool(low < age.mean() < high), draws.shape
    (True, (1000,))
    """
    for name, value in (("n_people", n_people), ("n_resamples", n_resamples)):
        if not is_count(value):
            raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    rng = np.random.default_rng(seed)
    return np.array([statistic(rng.integers(n_people, size=n_people)) for _ in range(n_resamples)], dtype=float)


def permutation_test(
    statistic: Callable[[NDArray], float],
    labels: ArrayLike,
    *,
    n_resamples: int = 2000,
    seed: int | np.random.Generator = 0,
) -> PermutationTest:
    """Test whether labels say anything: is the statistic larger than when the labels are shuffled?

    One-sided, ``p = (1 + #{null >= statistic}) / (1 + n_resamples)``: the present labelling is one of all. When the
    labels are exchangeable, p is at most alpha with probability at most alpha, for any statistic and any number of
    people. For so few people that all labellings can be tried, all are, and p is exact. See
    `scipy.stats.permutation_test`, which this calls.

    Parameters
    ----------
    statistic : callable
        Takes labels (n,) and returns a number that is large when they matter.
    labels : array_like, shape (n,)
        The label of every person.
    n_resamples : int
        How many times to shuffle.
    seed : int or numpy.random.Generator
        Where the permutations come from.

    Returns
    -------
    PermutationTest
        Statistic, p-value, and the values under shuffled labels.

    Raises
    ------
    ValueError
        On labels that are no vector of at least two, or a number of resamples that is no integer of at least 1.

    References
    ----------
    Phipson and Smyth (2010). Permutation p-values should never be zero. Statistical Applications in Genetics and
    Molecular Biology 9(1).

    Examples
    --------
    >>> height, tall = np.arange(20.0), np.arange(20) >= 10
    >>> test = permutation_test(lambda member: height[member].mean() - height[~member].mean(), tall, n_resamples=999)
    >>> test.statistic, test.p_value
    (10.0, 0.001)
    """
    from scipy import stats  # slow to import

    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) < 2:
        raise ValueError(f"labels: expected shape (n,) with n at least 2, got {labels.shape}")
    if not is_count(n_resamples):
        raise ValueError(f"n_resamples: expected an integer of at least 1, got {n_resamples!r}")
    found = stats.permutation_test(
        (labels,),
        statistic,
        permutation_type="pairings",
        vectorized=False,
        n_resamples=n_resamples,
        alternative="greater",
        rng=np.random.default_rng(seed),
    )
    return PermutationTest(float(found.statistic), float(found.pvalue), found.null_distribution)


def _as_level(level):
    number = float(as_float("level", level, ()))
    if not 0 < number < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    return number
