"""What one reward loses: inequalities that can be bounded, attacked and verified."""

from .statements import (
    Falsification,
    Solution,
    alignment_gap,
    chernoff_information,
    falsify,
    finite_sample_bound,
    gap_bounds,
    impossibility_bound,
    mismatch_bound,
    mismatch_reason,
    observable_bound,
    pairwise_bound,
    price_of_sharing,
    reward_mismatch,
    textbook_gap_bound,
)

__all__ = [
    "Falsification",
    "Solution",
    "alignment_gap",
    "chernoff_information",
    "falsify",
    "finite_sample_bound",
    "gap_bounds",
    "impossibility_bound",
    "mismatch_bound",
    "mismatch_reason",
    "observable_bound",
    "pairwise_bound",
    "price_of_sharing",
    "reward_mismatch",
    "textbook_gap_bound",
]
