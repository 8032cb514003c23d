"""The survey that comes with the book: 192 people, 15 forced choices each between six political options.

Chapters 1 to 5 and 7.
"""

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_survey"]


def load_survey() -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Return the survey as two tables, the comparisons and the respondents.

    Returns
    -------
    comparisons : pandas.DataFrame
        One row a choice, 192 x 15 rows: respondent, first, second, choice ('first' or 'second').
    respondents : pandas.DataFrame
        One row a person, indexed by respondent: gender, age (years), education (1 to 5), crisis (yes or no),
        interviewer.

    References
    ----------
    GermanParties2009; source and licence stand in NOTICE.md beside the files.

    Examples
    --------
    >>> comparisons, respondents = load_survey()
    >>> len(comparisons), len(respondents), int(respondents.age.median())
    (2880, 192, 29)
    """
    # pandas takes longer to import than the rest of the core: load it where it is used.
    import pandas as pd

    folder = files(__name__)
    # keep_default_na: 'none' is an option of the survey, not a missing value.
    comparisons, respondents = (
        pd.read_csv(folder / f"germanparties2009_{name}.csv", keep_default_na=False)
        for name in ("comparisons", "respondents")
    )
    return comparisons, respondents.set_index("respondent")
