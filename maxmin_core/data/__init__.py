"""The survey that comes with the book: 192 people, 15 forced choices each between six political options."""

from importlib.resources import files

__all__ = ["load_survey"]


def load_survey():
    """Return the survey as two tables, (comparisons, respondents).

    comparisons has one row a choice: respondent, first, second, choice ('first' or 'second'); 192 x 15 rows.
    respondents has one row a person, indexed by respondent: gender, age (years), education (1-5), crisis (yes/no),
    interviewer. Source and licence: NOTICE.md beside the files. Chapter 1.
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
