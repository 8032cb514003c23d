"""Policies made of the groups' own policies, without another training: a soup of parameters, a product of chances.

Chapter 8.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from transformers import PreTrainedModel

from .._validation import as_distribution

__all__ = ["Product", "best_soup", "regret_weights", "room_for_soup", "stir"]


@torch.no_grad()
def stir(model: PreTrainedModel, members: Sequence[PreTrainedModel], mix: Sequence[float]) -> None:
    """Give a model the average of its members' parameters: ``theta = sum_u mix_u theta_u``.

    Where members are adapters on one base, what they add is averaged, ``sum_u mix_u B_u A_u``, by adapters that stand
    side by side; the averages of the A and of the B would add something else. `room_for_soup` makes such a model.

    Parameters
    ----------
    model : PreTrainedModel
        Is changed; of the members' shape.
    members : sequence of PreTrainedModel, length U
        The groups' policies.
    mix : sequence of float, length U
        Weights that sum to one.

    Raises
    ------
    ValueError
        On members of another shape than the model: policies that began at different references.

    References
    ----------
    Rame et al. (2023), Rewarded soups.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film"], 2)
    >>> model, *two = (make_gpt2(tokenizer, positions=4, layers=1, width=8, heads=1, seed=s) for s in (0, 1, 2))
    >>> stir(model, two, (1.0, 0.0))
    >>> bool((model.lm_head.weight == two[0].lm_head.weight).all())
    True
    """
    if _layers(model):
        _stir_adapters(model, members, mix)
        return
    _check_alike([model, *members])
    for parameter, *of_members in zip(model.parameters(), *(member.parameters() for member in members), strict=True):
        parameter.copy_(sum(w * other for w, other in zip(mix, of_members, strict=True)))


def room_for_soup(base: Any, members: Sequence[Any]) -> Any:
    """Return a base with an adapter as wide as those of all members together; it adds nothing yet.

    Parameters
    ----------
    base : PreTrainedModel
        Under all members; it is changed.
    members : sequence of peft.PeftModel, length U
        The groups' policies.

    Returns
    -------
    peft.PeftModel

    Examples
    --------
    >>> from maxmin_core.lm.policy import load_policy
    >>> members = [load_policy(folder)[0] for folder in folders]  # doctest: +SKIP
    >>> soup = room_for_soup(load_policy(reference)[0], members)  # doctest: +SKIP
    """
    from peft import get_peft_model

    configs = [member.peft_config["default"] for member in members]
    rank = sum(config.r for config in configs)
    wide = replace(configs[0], r=rank, lora_alpha=configs[0].lora_alpha * rank / configs[0].r, inference_mode=False)
    return get_peft_model(base, wide).eval()


def _layers(model):
    """Return the adapted layers of a model by name; none where it has no adapters."""
    return {name: layer for name, layer in model.named_modules() if hasattr(layer, "lora_A") and len(layer.lora_A)}


def _stir_adapters(model, members, mix):
    wide, layers = _layers(model), [_layers(member) for member in members]
    for u, of_member in enumerate(layers, start=1):
        if of_member.keys() != wide.keys():
            raise ValueError(f"members: expected adapters on the same layers in all, got others in number {u}")
    for name, layer in wide.items():
        each = [of_member[name] for of_member in layers]
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        down.copy_(torch.cat([one.lora_A["default"].weight for one in each]))
        share = [w * one.scaling["default"] / layer.scaling["default"] for w, one in zip(mix, each, strict=True)]
        up.copy_(torch.cat([s * one.lora_B["default"].weight for s, one in zip(share, each, strict=True)], dim=1))


def best_soup(
    model: PreTrainedModel,
    members: Sequence[PreTrainedModel],
    value: Callable[[PreTrainedModel], NDArray[np.float64]],
) -> tuple[tuple[float, ...], float]:
    """Stir the soup whose worst-off group is best off: of all weights in tenths (two groups) or fifths (more).

    Parameters
    ----------
    model : PreTrainedModel
        Becomes the best soup.
    members : sequence of PreTrainedModel, length U
        The groups' policies.
    value : callable, PreTrainedModel -> ndarray of shape (U,)
        What a policy is worth to each group.

    Returns
    -------
    mix : tuple of float
    worst : float
        What it is worth to the worst-off.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film"], 2)
    >>> model, *two = (make_gpt2(tokenizer, positions=4, layers=1, width=8, heads=1, seed=s) for s in (0, 1, 2))
    >>> mean = [member.lm_head.weight.mean().item() for member in two]
    >>> mix, _ = best_soup(model, two, lambda m: -np.abs([m.lm_head.weight.mean().item() - x for x in mean]))
    >>> mix
    (0.5, 0.5)
    """
    worst = {}
    steps = 10 if len(members) == 2 else 5
    for parts in product(range(steps + 1), repeat=len(members)):
        if sum(parts) == steps:
            mix = tuple(k / steps for k in parts)
            stir(model, members, mix)
            worst[mix] = float(value(model).min())
    best = max(worst, key=worst.__getitem__)
    stir(model, members, best)
    return best, worst[best]


class Product:
    """Draw every token from the product of the groups' policies: ``pi(t | before) ~ prod_u pi_u(t | before)^(w_u)``.

    Of whole texts, and of the best policies of rewards r_u, the product is the best policy of ``sum_u w_u r_u``. Token
    by token, each time divided by its sum, it is not the same, but it can be drawn from.

    Parameters
    ----------
    members : sequence of PreTrainedModel, length U
        The groups' policies, of one vocabulary.
    weights : array_like, shape (U,)
        Non-negative, with sum one.

    Raises
    ------
    ValueError
        On weights that are no distribution over the members, or members of different shapes.

    References
    ----------
    Wang et al. (2025), MPO: An efficient post-processing framework for mixing diverse preference alignment.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film"], 2)
    >>> two = [make_gpt2(tokenizer, positions=4, layers=1, width=8, heads=1, seed=s) for s in (1, 2)]
    >>> ids = torch.tensor([[2, 4]])
    >>> alone, first = Product(two, [1.0, 0.0])(ids).logits.softmax(-1), two[0](ids).logits.softmax(-1)
    >>> bool(torch.allclose(alone, first, atol=1e-6))
    True
    """

    def __init__(self, members: Sequence[PreTrainedModel], weights: Sequence[float] | NDArray[np.float64]) -> None:
        _check_alike(members)
        self.members, self.weights = list(members), as_distribution("weights", weights, len(members)).tolist()
        self.config, self.device, self.dtype = members[0].config, members[0].device, members[0].dtype

    def __call__(self, ids: torch.Tensor, **more: Any) -> Any:
        """Return an object whose ``logits`` are the product's logarithms, up to a constant.

        Parameters
        ----------
        ids : Tensor, shape (n, length)
            Token ids.
        **more
            What the members take, such as an attention mask.

        Returns
        -------
        object
        """
        found = self.members[0](ids, **more)
        every = [found.logits, *(member(ids, **more).logits for member in self.members[1:])]
        found.logits = sum(w * logits.log_softmax(-1) for w, logits in zip(self.weights, every, strict=True) if w)
        return found

    def generate(
        self,
        input_ids: torch.Tensor,
        *,
        max_new_tokens: int,
        pad_token_id: int,
        attention_mask: torch.Tensor | None = None,
        **more: Any,
    ) -> torch.Tensor:
        """Draw one completion for every row at temperature one, as `PreTrainedModel.generate` does.

        Parameters
        ----------
        input_ids : Tensor, shape (n, length)
            Prompts, short ones padded on the left.
        max_new_tokens : int
            Tokens that follow at most.
        pad_token_id : int
            What fills up a text that has ended.
        attention_mask : Tensor, shape (n, length), or None
            Zero where a prompt is padded; None where none is.
        **more
            Whatever else is passed on.

        Returns
        -------
        Tensor, shape (n, length + at most max_new_tokens)
        """
        ids, given, mask = input_ids, {}, attention_mask
        end, going = self.config.eos_token_id, torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        for _ in range(max_new_tokens):
            if mask is not None and not mask.all():
                given = {"attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
            token = torch.multinomial(self(ids, **given).logits[:, -1].softmax(-1), 1)[:, 0]
            ids = torch.cat([ids, torch.where(going, token, pad_token_id)[:, None]], dim=1)
            mask = None if mask is None else torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            going &= token != end
            if not going.any():
                break
        return ids


def _check_alike(models):
    first, *shapes = ([tuple(parameter.shape) for parameter in model.parameters()] for model in models)
    for k, shape in enumerate(shapes, start=1):
        if shape != first:
            apart = next(((a, b) for a, b in zip(first, shape, strict=False) if a != b), (len(first), len(shape)))
            raise ValueError(
                f"members: expected policies of one reference, got {apart[0]} and {apart[1]} in number {k}"
            )


def regret_weights(
    expected: Callable[[NDArray[np.float64], int], NDArray[np.float64]],
    best: NDArray[np.float64],
    *,
    rate: float = 0.3,
    n_steps: int = 20,
) -> NDArray[np.float64]:
    """Return the weights of a product of group policies whose largest regret is least, by mirror descent.

    ``w_u <- w_u exp(-rate (E_{pi_w}[r_u] - A(r_u)))``, divided by their sum; the mean of the second half of the steps.

    Parameters
    ----------
    expected : callable, (weights, step) -> ndarray of shape (U,)
        Expected reward of every group under the product of these weights.
    best : ndarray, shape (U,)
        A(r_u), what every group gets from its own policy, its divergence taken off.
    rate : float
        Of a step.
    n_steps : int
        How many.

    Returns
    -------
    ndarray, shape (U,)

    References
    ----------
    Wang et al. (2025), MPO: An efficient post-processing framework for mixing diverse preference alignment.

    Examples
    --------
    Two groups whose values fall by one where the other's weight grows by one:

    >>> regret_weights(lambda w, step: w, np.array([1.0, 1.0])).round(3).tolist()
    [0.5, 0.5]
    """
    log_weights, visited = np.full(len(best), -np.log(len(best))), []
    for step in range(n_steps):
        weights = np.exp(log_weights)
        visited.append(weights)
        log_weights = log_softmax(log_weights - rate * (expected(weights, step) - best))
    return np.mean(visited[n_steps // 2 :], axis=0)
