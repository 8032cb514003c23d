"""Settings: who the simulated annotators are, and what is trained for them."""

import re
from dataclasses import dataclass

__all__ = ["SETTINGS", "Setting", "find_setting"]


@dataclass(frozen=True)
class Setting:
    """Hold one population and what to train for it. Chapter 8.

    tastes : group -> attribute (of `annotators.ATTRIBUTES`) -> weight; shares : tuple of float, the groups' shares
    methods : names of `train.METHODS` or 'soup', with '@' and a KL strength where it is not the profile's
    seeds : int, how many
    """

    name: str
    tastes: dict
    shares: tuple
    methods: tuple
    seeds: int = 3

    @property
    def slug(self):
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
        Setting("three", _THREE, (0.6, 0.2, 0.2), _RULES, 5),
        Setting("compatible", _COMPATIBLE, (0.8, 0.2), ("single", "single@0.25", "maxmin")),
        Setting("1:1", _CONFLICT, (0.5, 0.5), ("single", "maxmin")),
        Setting("10:1", _CONFLICT, (10, 1), ("single", "maxmin")),
        Setting("three compatible", _MILD, (0.6, 0.2, 0.2), ("equal", "maxmin")),
    )
}


def find_setting(name):
    """Return the setting of that name; ValueError that lists them otherwise. Chapter 8."""
    if name not in SETTINGS:
        raise ValueError(f"setting: expected one of {', '.join(SETTINGS)}, got {name!r}")
    return SETTINGS[name]
