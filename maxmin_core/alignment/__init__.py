"""What is best for all: policies, welfare functions, the solver and its certificate."""

from .bargaining import Nash, Regret
from .calibration import calibrate
from .certificate import best_value_estimates, dual_weights, gap_limits, part_closed_limits
from .iteration import iterate
from .policies import best_values, gibbs_policy, group_values, kl_divergence
from .robust import ChiSquare, CVaR, SoftMin
from .solution import Solution, max_min, per_prompt_minimum, per_response_minimum, solve
from .welfare import Egalitarian, Utilitarian, Welfare

__all__ = [
    "CVaR",
    "ChiSquare",
    "Egalitarian",
    "Nash",
    "Regret",
    "SoftMin",
    "Solution",
    "Utilitarian",
    "Welfare",
    "best_value_estimates",
    "best_values",
    "calibrate",
    "dual_weights",
    "gap_limits",
    "gibbs_policy",
    "group_values",
    "iterate",
    "kl_divergence",
    "max_min",
    "part_closed_limits",
    "per_prompt_minimum",
    "per_response_minimum",
    "solve",
]
