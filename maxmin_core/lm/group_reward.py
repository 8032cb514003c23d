"""The one reward function that TRL calls: it scores texts for all groups, and a welfare turns group means into weights.

Chapters 8 and 9.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from .._validation import as_distribution
from ..alignment.welfare import Welfare
from .prompts import Prompt, plain
from .scorers import Scorer

__all__ = ["GroupReward"]


class GroupReward:
    """Reward a text by ``w @ r(text)``, where a welfare chooses the group weights ``w`` from the batch's group means.

    The weights are those of the welfare, or with a rate they move by exponentiated gradient on the welfare's dual,
    ``w_u <- w_u exp(-rate g_u)``, divided by their sum, where ``g`` is `Welfare.dual_gradient` at the batch's means
    (for max-min, the means themselves). Means are over the batches of all processes, so that all choose the same
    weights. TRL takes off ``beta`` KL itself.

    Parameters
    ----------
    rewards : Scorer
        Calibrated rewards of U groups.
    welfare : Welfare
        ``weights=None`` in it means equal shares.
    rate : float or None
        Of exponentiated gradient, at least 0; None takes the welfare's weights as they are.
    start : array_like, shape (U,), or None
        Where exponentiated gradient begins, all above 0; None is equal weights.
    groups : sequence of str, length U
        Names for errors and metrics.
    per_response : bool
        Whether to return the minimum over groups text by text instead; a group's weight is then how often it is the
        one.

    Attributes
    ----------
    log_weights : ndarray, shape (U,)
        Logarithms of the weights that exponentiated gradient has reached.
    penalty : float
        ``beta KL`` of the policy, as the trainer last measured it; only Nash's bargain asks for it.
    evaluating : callable, () -> bool
        Whether texts are only judged now: then weights stay where they are. `train` asks the trainer.

    Raises
    ------
    ValueError
        On a rate below 0, for a welfare whose weights are bound (it would ignore the bounds, at 0 too), or with
        `per_response` (which would ignore it); on a start without a rate, or with a weight that is not above 0.

    Examples
    --------
    >>> from maxmin_core.alignment import Egalitarian
    >>> def rewards(prompts, completions):
    ...     return np.array([[3.0, 1.0], [0.0, 2.0]])
    >>> GroupReward(rewards, Egalitarian(), groups=["a", "b"])(["it"] * 2, ["is", "was"])
    [0.0, 2.0]
    """

    __name__ = "group_reward"

    def __init__(
        self,
        rewards: Scorer,
        welfare: Welfare,
        rate: float | None = None,
        *,
        groups: Sequence[str],
        per_response: bool = False,
        start: ArrayLike | None = None,
    ) -> None:
        self.rewards, self.welfare, self.rate, self.groups = rewards, welfare, rate, list(groups)
        self.per_response, self.penalty = per_response, 0.0
        self.evaluating: Callable[[], bool] = lambda: False
        self._moved_at: int | None = None
        first = as_distribution("start", start, len(self.groups))
        if rate is None and start is not None:
            raise ValueError("start: expected None without a rate, as a welfare's own weights begin nowhere")
        if not (first > 0).all():
            raise ValueError(f"start: expected weights above 0, which exponentiated gradient can move, got {first}")
        if rate is not None:
            self._check_rate(rate, first)
        # Weights as logarithms: one that has become tiny can grow again.
        self.log_weights = np.full(len(first), -np.log(len(first))) if start is None else np.log(first)

    def _check_rate(self, rate, first):
        if not 0 <= rate < np.inf:
            raise ValueError(f"rate: expected a finite number of at least 0, got {rate}")
        if self.per_response:
            raise ValueError(f"rate: expected None with per_response, which has no weights to move, got {rate}")
        if self.welfare.point(len(first)) is not None or self.welfare.room(first)[0].size:
            raise ValueError(
                f"rate: expected None for {type(self.welfare).__name__}, which binds its weights: "
                f"exponentiated gradient would leave its bounds, got {rate}"
            )

    def __call__(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Prompt],
        *,
        log_metric: Callable[[str, float], None] | None = None,
        trainer_state: Any = None,
        **_: Any,
    ) -> list[float]:
        """Score texts for all groups, move the weights once a step, and return the weighted rewards.

        Parameters
        ----------
        prompts : sequence of Prompt, length n
            How the texts begin.
        completions : sequence of Prompt, length n
            How they go on, in words or, on a chat, as the assistant's message.
        log_metric : callable, (str, float) -> None, or None
            Is told weight and mean of every group.
        trainer_state : TrainerState or None
            Whose step an error names, and within which weights move once, however often texts are scored.
        **_
            Whatever else TRL passes on.

        Returns
        -------
        list of float, length n

        Raises
        ------
        ValueError
            When a group's reward is not finite: names the group and the step. When the welfare returns weights that
            are negative, not finite or all zero: names the welfare. When the rate is so high that weights overflow.
        """
        values = np.asarray(self.rewards(prompts, [plain(text) for text in completions]), dtype=float)
        finite = np.isfinite(values).all(axis=1)
        # A reward that is not finite would train silently: the step's advantages become zero.
        if not finite.all():
            step = "?" if trainer_state is None else trainer_state.global_step
            bad = self.groups[finite.argmin()]
            raise ValueError(f"rewards: expected finite rewards, got NaN or infinity for {bad} at step {step}")
        self.scored = values
        means = _mean_over_processes(values)
        if self.per_response:
            weights = (values.argmin(axis=0) == np.arange(len(values))[:, None]).mean(axis=1)
        else:
            weights = self._move(means, None if trainer_state is None else trainer_state.global_step)
        if log_metric is not None:
            for name, weight, mean in zip(self.groups, weights, means, strict=True):
                log_metric(f"weight/{name}", float(weight))
                log_metric(f"value/{name}", float(mean))
        return (values.min(axis=0) if self.per_response else weights @ values).tolist()

    def _move(self, means, step):
        if self.rate is None:
            return self.welfare.supergradient(means)
        if self.evaluating() or (step is not None and step == self._moved_at):
            return np.exp(self.log_weights)
        self._moved_at = step
        slope = self.welfare.dual_gradient(np.exp(self.log_weights), means, self.penalty) if self.rate else means
        self.log_weights = log_softmax(self.log_weights - self.rate * slope)
        if not np.isfinite(self.log_weights).all():
            raise ValueError(f"rate: expected one at which weights stay finite, got {self.rate} for {self.welfare!r}")
        return np.exp(self.log_weights)


def _mean_over_processes(values):
    """Return the mean of every group over all texts of all processes, (U,)."""
    total = torch.tensor([*values.sum(axis=1), values.shape[1]], dtype=torch.float64)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        total = total.to(
            "cuda" if torch.distributed.get_backend() == "nccl" else "cpu",
        )
        torch.distributed.all_reduce(total)
    total = total.cpu().numpy()
    return total[:-1] / total[-1]
