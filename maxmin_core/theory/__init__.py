"""What one reward loses: statements that can be bounded, attacked and verified.

A `Statement` is an inequality as an object. `STATEMENTS` are those that the book proves, `falsify` attacks one,
`verified_slack` makes sure of it in ball arithmetic; your own needs nothing else.

Chapters 1 to 3.
"""

from .falsification import Falsification, falsify
from .gaps import (
    Alignments,
    alignment_gap,
    alignment_gaps,
    alignment_sampler,
    gap_bounds,
    pooled_alignments,
    pooled_sampler,
    textbook_gap_bound,
)
from .impossibility import impossibility_bound, observable_bound, pairwise_bound, second_hand_gap_bound
from .mismatch import (
    Instances,
    Reason,
    finite_sample_bound,
    leads,
    mismatch_bound,
    mismatch_reason,
    mismatches,
    population_sampler,
    reward_mismatch,
)
from .sharing import chernoff_information, price_of_sharing
from .statements import GAP, MISMATCH, STATEMENTS, Sampler, Statement
from .verification import Exact, as_ball, ball_max, ball_min, enclose_mle, exact_grid, verified_slack

__all__ = [
    "GAP",
    "MISMATCH",
    "STATEMENTS",
    "Alignments",
    "Exact",
    "Falsification",
    "Instances",
    "Reason",
    "Sampler",
    "Statement",
    "alignment_gap",
    "alignment_gaps",
    "alignment_sampler",
    "as_ball",
    "ball_max",
    "ball_min",
    "chernoff_information",
    "enclose_mle",
    "exact_grid",
    "falsify",
    "finite_sample_bound",
    "gap_bounds",
    "impossibility_bound",
    "leads",
    "mismatch_bound",
    "mismatch_reason",
    "mismatches",
    "observable_bound",
    "pairwise_bound",
    "pooled_alignments",
    "pooled_sampler",
    "population_sampler",
    "price_of_sharing",
    "reward_mismatch",
    "second_hand_gap_bound",
    "textbook_gap_bound",
    "verified_slack",
]
