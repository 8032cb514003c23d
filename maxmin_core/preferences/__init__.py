"""Who chose what, and what they want: comparisons, Bradley-Terry rewards, populations, mixtures of rewards."""

from .comparisons import Comparisons
from .mixture import MixtureFit, fit_mixture
from .population import Population, diversity, match_groups, population_mle, simulate_comparisons
from .presets import PRESETS, Preset, preset_rows
from .rewards import annotator_agreement, annotator_log_likelihood, bradley_terry, fit_bradley_terry
from .selection import select_n_groups
from .tables import TableReport, read_comparisons, read_table

__all__ = [
    "PRESETS",
    "Comparisons",
    "MixtureFit",
    "Population",
    "Preset",
    "TableReport",
    "annotator_agreement",
    "annotator_log_likelihood",
    "bradley_terry",
    "diversity",
    "fit_bradley_terry",
    "fit_mixture",
    "match_groups",
    "population_mle",
    "preset_rows",
    "read_comparisons",
    "read_table",
    "select_n_groups",
    "simulate_comparisons",
]
