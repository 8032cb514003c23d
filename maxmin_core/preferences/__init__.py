"""Who chose what, and what they want: comparisons, Bradley-Terry rewards, populations, mixtures of rewards."""

from .comparisons import Comparisons
from .mixture import MixtureFit, fit_mixture
from .population import Population, diversity, match_groups, population_mle, simulate_comparisons
from .rewards import annotator_agreement, annotator_log_likelihood, bradley_terry, fit_bradley_terry
from .selection import select_n_groups

__all__ = [
    "Comparisons",
    "MixtureFit",
    "Population",
    "annotator_agreement",
    "annotator_log_likelihood",
    "bradley_terry",
    "diversity",
    "fit_bradley_terry",
    "fit_mixture",
    "match_groups",
    "population_mle",
    "select_n_groups",
    "simulate_comparisons",
]
