"""The survey that comes with the book: 192 people, 15 forced choices each between six political options. And a toy.

Votes on the answers of language models are fetched on demand (`load_llmfao`).

Chapters 1 to 5 and 7; the toy in 0 to 5.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from .llmfao import Llmfao, data_folder, fetch_llmfao, has_llmfao, load_llmfao
from .toy import load_toy

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Llmfao", "data_folder", "fetch_llmfao", "has_llmfao", "load_llmfao", "load_survey", "load_toy"]


def load_survey() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the survey as two tables, choices and people.

    Returns
    -------
    comparisons : pandas.DataFrame
        One choice a row, 192 x 15 rows: respondent, first, second, choice ('first' or 'second'). One of the options is
        called 'none': not to vote.
    respondents : pandas.DataFrame
        One person a row, indexed by respondent: gender, age (years), education (1 to 5), crisis (whether the person
        feels affected by the economic crisis, yes or no) and interviewer.

    References
    ----------
    Data set GermanParties2009 of the R package psychotools (GPL-2 or GPL-3); see NOTICE.md beside the files.

    Examples
    --------
    >>> from maxmin_core import Comparisons, load_survey
    >>> comparisons, respondents = load_survey()
    >>> len(comparisons), len(respondents), Comparisons.from_frame(comparisons).n_items
    (2880, 192, 6)
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
