"""The shared core of the MaxMin-RLHF companion.

An alignment method is a rule that turns group values into group weights. Groups come from comparisons
(`maxmin_core.preferences`), what one reward loses is in `maxmin_core.theory`, policies come from weights
(`maxmin_core.alignment`). The names below are those that everybody needs; the wings have more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .alignment import (
        CVaR,
        Egalitarian,
        Nash,
        SoftMin,
        Solution,
        Utilitarian,
        Welfare,
        best_values,
        calibrate,
        gibbs_policy,
        group_values,
        kl_divergence,
        max_min,
        solve,
    )
    from .data import load_survey
    from .preferences import (
        Comparisons,
        Population,
        bradley_terry,
        diversity,
        fit_bradley_terry,
        fit_mixture,
        select_n_groups,
        simulate_comparisons,
    )
    from .theory import Statement, alignment_gap, falsify, gap_bounds, mismatch_bound, price_of_sharing

__version__ = "0.1.0"

# Where each name lives. It is imported when it is first asked for, so that `import maxmin_core` costs next to nothing.
_HOME = {
    "alignment": (
        "CVaR",
        "Egalitarian",
        "Nash",
        "SoftMin",
        "Solution",
        "Utilitarian",
        "Welfare",
        "best_values",
        "calibrate",
        "gibbs_policy",
        "group_values",
        "kl_divergence",
        "max_min",
        "solve",
    ),
    "data": ("load_survey",),
    "preferences": (
        "Comparisons",
        "Population",
        "bradley_terry",
        "diversity",
        "fit_bradley_terry",
        "fit_mixture",
        "select_n_groups",
        "simulate_comparisons",
    ),
    "theory": ("Statement", "alignment_gap", "falsify", "gap_bounds", "mismatch_bound", "price_of_sharing"),
}

__all__ = [
    "CVaR",
    "Comparisons",
    "Egalitarian",
    "Nash",
    "Population",
    "SoftMin",
    "Solution",
    "Statement",
    "Utilitarian",
    "Welfare",
    "alignment_gap",
    "best_values",
    "bradley_terry",
    "calibrate",
    "diversity",
    "falsify",
    "fit_bradley_terry",
    "fit_mixture",
    "gap_bounds",
    "gibbs_policy",
    "group_values",
    "kl_divergence",
    "load_survey",
    "max_min",
    "mismatch_bound",
    "price_of_sharing",
    "select_n_groups",
    "simulate_comparisons",
    "solve",
]


def __getattr__(name: str) -> Any:
    for wing, names in _HOME.items():
        if name in names:
            return getattr(import_module(f".{wing}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
