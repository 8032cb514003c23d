"""A grid world in which groups of users need different places served, and its programme over occupancies.

Needs gymnasium, which the extra ``book`` installs: ``pip install "maxmin-core[book]"``.

Chapter 6.
"""

from .occupancy import Occupancy, best_occupancy, evaluate_policy, leximin_occupancy
from .world import Navigation

__all__ = ["Navigation", "Occupancy", "best_occupancy", "evaluate_policy", "leximin_occupancy"]
