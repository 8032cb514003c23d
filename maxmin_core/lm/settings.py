"""Settings: who the simulated annotators are, and what is trained for them. Chapter 8."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SETTINGS", "Setting", "find_setting"]


@dataclass(frozen=True)
class Setting:
    """Hold one population of annotators and what is trained for it.

    Parameters
    ----------
    name : str
        How the setting is called everywhere, such as ``80:20``.
    tastes : mapping of str to mapping of str to float
        Group to attribute (of ``annotators.ATTRIBUTES``) to weight.
    shares : tuple of float, length U
        Shares of the groups, up to a common factor.
    methods : tuple of str
        Names of ``train.METHODS`` or ``soup``, with ``@`` and a KL strength where it is not the profile's.
    seeds : int
        How many times everything is done.

    Examples
    --------
    >>> pair = {"warm": {"positive": 1.0}, "brief": {"concise": 1.0}}
    >>> Setting("2:1", pair, (2, 1), ("single", "maxmin")).slug
    '2-1'
    """

    name: str
    tastes: Mapping[str, Mapping[str, float]]
    shares: tuple[float, ...]
    methods: tuple[str, ...]
    seeds: int = 3

    @property
    def slug(self) -> str:
        """The name as a folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.name)


_CONFLICT = {"majority": {"positive": 0.7, "detailed": 0.3}, "minority": {"concise": 1.0}}
_COMPATIBLE = {"majority": {"positive": 1.0}, "minority": {"concise": 1.0}}
_THREE = {
    "positive": {"positive": 0.7, "detailed": 0.3},
    "detailed": {"positive": 0.4, "detailed": 0.6},
    "concise": {"concise": 1.0},
}
_MILD = {"positive": {"positive": 1.0}, "both": {"positive": 0.5, "concise": 0.5}, "concise": {"concise": 1.0}}
_RULES = ("single", "equal", "maxmin", "per_response", "soup")

SETTINGS = {
    setting.name: setting
    for setting in (
        Setting(
            "80:20",
            _CONFLICT,
            (0.8, 0.2),
            (*_RULES, "average", "maxmin_hard", "maxmin_known", "single@0.25", "single@0.4"),
            5,
        ),
        # Compared in recorded studies; these two runs lend the page their rewards.
        Setting("three", _THREE, (0.6, 0.2, 0.2), ("maxmin",), 2),
        Setting("compatible", _COMPATIBLE, (0.8, 0.2), ("single", "single@0.25", "maxmin")),
        Setting("1:1", _CONFLICT, (0.5, 0.5), ("single", "maxmin")),
        Setting("10:1", _CONFLICT, (10, 1), ("single", "maxmin")),
        Setting("three compatible", _MILD, (0.6, 0.2, 0.2), ("equal", "maxmin")),
    )
}


def find_setting(name: str) -> Setting:
    """Return the setting of a name.

    Parameters
    ----------
    name : str
        A key of ``SETTINGS``.

    Returns
    -------
    Setting

    Raises
    ------
    ValueError
        On an unknown name: lists the known ones.

    Examples
    --------
    >>> find_setting("three").shares
    (0.6, 0.2, 0.2)
    """
    if name not in SETTINGS:
        raise ValueError(f"setting: expected one of {', '.join(SETTINGS)}, got {name!r}")
    return SETTINGS[name]
