"""Features of items that have none: unit vectors, an ordinary array where items are few, sparse where they are many."""

import numpy as np
from scipy import sparse

__all__ = ["is_one_hot", "needs_features", "one_hot"]

# Beyond so many items the unit vectors are a sparse array: ordinary ones would take gigabytes.
_DENSE_ITEMS = 1000


def needs_features(n_items, n_votes, name):
    """Refuse one-hot rewards of more items than choices: most items were judged once, and nothing connects them."""
    if n_items > max(n_votes, _DENSE_ITEMS):
        raise ValueError(
            f"{name}: expected features of the items, as there are {n_items} items and only {n_votes} choices between "
            "them: one reward an item cannot be learned from one-off responses; give `features`, one row an item"
        )


def one_hot(n_items):
    """Return the unit vectors, (n_items, n_items), not to be written to."""
    if n_items <= _DENSE_ITEMS:
        features = np.eye(n_items)
        features.flags.writeable = False
        return features
    return sparse.eye_array(n_items, format="csr")


def is_one_hot(features):
    """Tell whether row i is the i-th unit vector."""
    n_items, d = features.shape
    if n_items != d:
        return False
    if sparse.issparse(features):
        return features.nnz == n_items and bool((features.diagonal() == 1).all())
    return bool((np.diagonal(features) == 1).all()) and np.count_nonzero(features) == n_items
