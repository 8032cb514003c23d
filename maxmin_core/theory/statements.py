"""Statements: inequalities as objects, and the list of those that the book proves.

A statement says what it bounds, by what, and where. That is all that `falsify`, ball arithmetic (`verified_slack`),
the tables of the chapters and the tests need in order to attack it, whoever wrote it.

Chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _exact, _gap_bounds, _gaps, _lead, _mismatch
from ._sampler import Sampler

if TYPE_CHECKING:
    from flint import arb

    from .verification import Exact

__all__ = ["GAP", "MISMATCH", "STATEMENTS", "Sampler", "Statement"]


@dataclass(frozen=True)
class Statement:
    """Hold one inequality, and what an attack on it needs.

    A lower bound states ``bound <= truth``, an upper one ``truth <= bound``, on every instance where it applies. The
    callables take many instances at once. What an instance is, is up to the statement: its sampler draws what its
    bound and its truth read.

    Parameters
    ----------
    name : str
        What tables and errors call it.
    bound : callable
        Takes B instances and returns the bound of each, (B,) or one number for all.
    truth : callable
        Takes B instances and returns what is bounded, (B,).
    applies : callable, optional
        Takes B instances and returns texts, (B,) or one for all: '' where the assumptions hold, and elsewhere the
        reason why they do not. It is asked about an `Exact` instance, too. Without it the statement applies
        everywhere. This is another thing than a bound of zero, which is true and says nothing.
    sampler : Sampler, optional
        Where instances come from: `falsify` needs it. A pair (decode, dimension) will do.
    exact : callable, optional
        Takes one `Exact` instance and returns (bound, truth) as balls: `verified_slack` needs it.
    side : {"lower", "upper"}
        On which side of the truth the bound lies.
    relative : bool
        Whether slack is a share of the larger side, as for most, or a difference in the units of the truth: that is
        better where the truth can be zero while the bound is not.
    quantity : str
        What is bounded, in words, for tables.

    Raises
    ------
    ValueError
        On a part that is not what is described here; the message names the part.

    Examples
    --------
    The variance of a coin is at most a quarter:

    >>> quarter = Statement(
    ...     "quarter", bound=lambda p: 0.25, truth=lambda p: p * (1 - p), side="upper",
    ...     sampler=(lambda x: 1 / (1 + np.exp(-x[:, 0])), 1),
    ... )
    >>> quarter.slack(np.array([0.5, 0.1])).round(2)
    array([0.  , 0.64])
    """

    name: str
    bound: Callable[[Any], ArrayLike]
    truth: Callable[[Any], ArrayLike]
    applies: Callable[[Any], ArrayLike] | None = None
    sampler: Sampler | None = None
    exact: Callable[[Exact], tuple[arb, arb]] | None = None
    side: Literal["lower", "upper"] = "lower"
    relative: bool = True
    quantity: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: expected a text, got {self.name!r}")
        for part in ("bound", "truth", "applies", "exact"):
            value = getattr(self, part)
            if not callable(value) and (part in ("bound", "truth") or value is not None):
                raise ValueError(f"{part}: expected a callable for {self.name!r}, got {value!r}")
        if self.side not in ("lower", "upper"):
            raise ValueError(f"side: expected 'lower' or 'upper' for {self.name!r}, got {self.side!r}")
        if self.sampler is not None:
            object.__setattr__(self, "sampler", _as_sampler(self.sampler, self.name))

    def reasons(self, instance: Any) -> NDArray[np.str_]:
        """Return why the statement does not apply, '' where it does.

        Parameters
        ----------
        instance : object
            Instances of the statement's own kind, or one `Exact` instance.

        Returns
        -------
        ndarray of str, shape (B,) or ()
            One text per instance, or one for all.
        """
        return np.asarray("" if self.applies is None else self.applies(instance), dtype=np.str_)

    def slack(self, instance: Any) -> NDArray[np.float64]:
        """Return the slack, (B,): below zero the statement is violated.

        For a lower bound ``1 - bound / truth``, for an upper one ``1 - truth / bound``; where `relative` is false
        ``truth - bound`` and ``bound - truth``.

        Parameters
        ----------
        instance : object
            B instances of the statement's own kind.

        Returns
        -------
        ndarray, shape (B,)
            NaN where the statement does not apply or nothing can be said: both sides zero, or one of them NaN.
        """
        sides = (np.atleast_1d(np.asarray(part(instance), dtype=float)) for part in (self.bound, self.truth))
        bound, truth = np.broadcast_arrays(*sides)
        below, above = (bound, truth) if self.side == "lower" else (truth, bound)
        if self.relative:
            found = _shortfall(below, above)
        else:
            with np.errstate(invalid="ignore"):  # infinity minus infinity: NaN, nothing can be said
                found = above - below
        return np.where(self.reasons(instance) == "", found, np.nan)

    def part(self, name: Literal["sampler", "exact"], purpose: str) -> Any:
        """Return a part that not every statement has.

        Parameters
        ----------
        name : {"sampler", "exact"}
            Which part.
        purpose : str
            What it is needed for, for the error.

        Returns
        -------
        object
            The part.

        Raises
        ------
        ValueError
            Where the statement has none: the message names statement, part and purpose.
        """
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"{name}: expected {self.name!r} to have one, which {purpose} needs, got None")
        return value


def _as_sampler(value, name):
    try:
        decode, dimension = value
    except (TypeError, ValueError):
        raise ValueError(f"sampler: expected a pair (decode, dimension) for {name!r}, got {value!r:.80}") from None
    whole = isinstance(dimension, int | np.integer) and not isinstance(dimension, bool)
    if not callable(decode) or not whole or dimension < 1:
        came = f"{decode!r:.80}, {dimension!r}"
        raise ValueError(f"sampler: expected a callable and an integer of at least 1 for {name!r}, got {came}")
    return Sampler(decode, int(dimension))


def _shortfall(below, above, negligible=1e-290):
    """Return 1 - below / above: NaN where both are negligible or above is NaN, -inf where only above is."""
    empty = np.where(below > negligible, -np.inf, np.nan)
    ratio = below / np.where(above > negligible, above, 1.0)
    return np.where(np.isnan(above), np.nan, np.where(above > negligible, 1 - ratio, empty))


def _two_groups(instance):
    return "" if instance.n_groups == 2 else f"expected two groups, got {instance.n_groups}"


def _realizable(instance):
    holds = np.asarray(instance.realizable)
    if holds.all():
        return np.full(holds.shape, "")
    misfit = np.asarray(instance.misfit)
    off = [f"the pooled preference is off Bradley-Terry by {value:.2g}" for value in misfit.ravel()]
    told = np.where(np.isnan(misfit), "the single reward is beyond double precision", np.reshape(off, misfit.shape))
    return np.where(holds, "", told)


def _realizable_pool(instance):
    return _realizable(instance[0] if isinstance(instance, tuple) else instance)


_MISMATCH_H = partial(_mismatch.mismatches, norm="H")
_BETWEEN_TWO = _mismatch.population_sampler(2, 3, 2)
_AMONG_SIX = _mismatch.population_sampler(6, 3, 2)
_TWO_PROMPTS = _gaps.alignment_sampler(2, 3, 2)


def _of_the_mismatch(name, bound, norm, **parts):
    truth = _MISMATCH_H if norm == "H" else _mismatch.mismatches
    quantity = "mismatch, H-norm (logits)" if norm == "H" else "mismatch (logits per unit of feature)"
    return Statement(name, bound, truth, quantity=quantity, **parts)


def _of_the_gap(name, bound, **parts):
    truth = parts.pop("truth", _gaps.alignment_gaps)
    return Statement(name, bound, truth, quantity="gap (logits)", **parts)


def _by_name(*statements: Statement) -> Mapping[str, Statement]:
    return MappingProxyType({statement.name: statement for statement in statements})


#: The bounds of chapter 2, by the names that `mismatch_bound` gives them.
MISMATCH: Mapping[str, Statement] = _by_name(
    _of_the_mismatch(
        "realizable",
        _mismatch.realizable_bounds,
        "euclidean",
        applies=_realizable,
        sampler=_mismatch.population_sampler(6, 1, 1),
        exact=_exact.realizable,
    ),
    _of_the_mismatch(
        "lead",
        _lead.lead_bounds,
        "euclidean",
        applies=_realizable,
        sampler=_mismatch.population_sampler(6, 2, 2),
        exact=_exact.lead,
    ),
    _of_the_mismatch(
        "two_groups",
        _mismatch.two_group_bounds,
        "euclidean",
        applies=_two_groups,
        sampler=_BETWEEN_TWO,
        exact=_exact.two_groups,
    ),
    _of_the_mismatch(
        "two_groups_H",
        _mismatch.two_group_bounds_in_h,
        "H",
        applies=_two_groups,
        sampler=_BETWEEN_TWO,
        exact=_exact.two_groups_in_h,
    ),
    _of_the_mismatch(
        "two_groups_diversity",
        _lead.two_group_diversity_bounds,
        "euclidean",
        applies=_two_groups,
        sampler=_mismatch.population_sampler(2, 3, 1),
        exact=_exact.two_group_diversity,
    ),
    _of_the_mismatch("mle", _mismatch.mle_bounds, "euclidean", sampler=_AMONG_SIX, exact=_exact.mle),
    _of_the_mismatch("mle_H", _mismatch.mle_bounds_in_h, "H", sampler=_AMONG_SIX, exact=_exact.mle_in_h),
)

#: The bounds of chapter 3. The textbook's is none on a grid, which is why it has no exact form.
GAP: Mapping[str, Statement] = _by_name(
    _of_the_gap("lower", _gap_bounds.lower_bounds, sampler=_TWO_PROMPTS, exact=_exact.lower),
    _of_the_gap("upper", _gap_bounds.upper_bounds, side="upper", sampler=_TWO_PROMPTS, exact=_exact.upper),
    _of_the_gap("textbook", _gap_bounds.textbook_bounds, sampler=_TWO_PROMPTS),
    _of_the_gap("pairwise", _gap_bounds.pairwise_bounds, sampler=_TWO_PROMPTS, exact=_exact.pairwise),
    _of_the_gap(
        "observable", _gap_bounds.observable_bounds, sampler=_gaps.alignment_sampler(1, 3, 2), exact=_exact.observable
    ),
    _of_the_gap(
        "impossibility",
        lambda pooled: _gap_bounds.impossibility_bounds(*pooled),
        truth=lambda pooled: _gaps.alignment_gaps(pooled[1]),
        sampler=_gaps.pooled_sampler(6, 1, 3, 2),
        exact=_exact.impossibility,
    ),
    _of_the_gap(
        "lead_gap",
        lambda pooled: _lead.lead_gap_bounds(*pooled),
        truth=lambda pooled: _gaps.alignment_gaps(pooled[1]),
        applies=_realizable_pool,
        sampler=_gaps.pooled_sampler(6, 1, 2, 1),
        exact=_exact.lead_gap,
    ),
)

#: All statements of the book, by name.
STATEMENTS: Mapping[str, Statement] = MappingProxyType({**MISMATCH, **GAP})
