"""The training step itself: max-min RLOO in plain PyTorch, from drawing texts to the optimiser's step.

TRL's trainer, which the runs use, does the same on any number of machines; a test holds this page of code to its loss
and gradient. Chapter 8.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from .policy import prompt_tokens, sample
from .prompts import Prompt

__all__ = ["Witness", "log_probability", "max_min_step"]


def log_probability(
    model: PreTrainedModel, prompt_ids: list[list[int]], completion_ids: list[list[int]]
) -> torch.Tensor:
    """Return how likely a policy is to write texts, ``log pi(y | x)``, as a tensor that can be differentiated.

    Parameters
    ----------
    model : PreTrainedModel
        The policy, on the processor.
    prompt_ids : list of list of int, length n
        Token ids of the prompts ``x``.
    completion_ids : list of list of int, length n
        Token ids of the texts ``y``, the end-of-text token included where it was drawn.

    Returns
    -------
    Tensor, shape (n,)
        In nats.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> model = make_gpt2(make_tokenizer(["the film"], 2), positions=4, layers=1, width=8, heads=1, seed=0)
    >>> log_probability(model, [[2, 4]] * 6, [[token] for token in range(6)]).exp().sum().round(decimals=4).item()
    1.0
    """
    lengths = torch.tensor([len(ids) for ids in completion_ids])
    width = int(lengths.max())
    # Short prompts are filled up before their first token; positions are counted from that token on.
    longest = max(len(ids) for ids in prompt_ids)
    x = torch.tensor([[*[0] * (longest - len(ids)), *ids] for ids in prompt_ids])
    begun = torch.arange(longest) >= torch.tensor([[longest - len(ids)] for ids in prompt_ids])
    # What fills up a short text stands behind it: no token of the text looks there, and it is not counted.
    y = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in completion_ids])
    counted = torch.arange(width) < lengths[:, None]
    # The logits at one position are about the token at the next.
    seen = torch.cat([begun, counted], dim=1).long()
    positions = (seen.cumsum(dim=1) - 1).clamp(min=0)
    logits = model(torch.cat([x, y], dim=1), attention_mask=seen, position_ids=positions).logits[:, longest - 1 : -1]
    each = logits.log_softmax(-1).gather(-1, y[..., None])[..., 0]
    return (each * counted).sum(dim=1)


def max_min_step(
    model: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    reward: Callable[..., list[float]],
    optimizer: torch.optim.Optimizer,
    *,
    n_samples: int,
    n_tokens: int,
    beta: float,
    seed: int = 0,
    drawn: list[list[int]] | None = None,
) -> dict[str, float]:
    """Take one step of max-min RLOO: draw texts, score them for all groups, weigh the groups, follow the gradient.

    With the score of text ``i``, ``R_i = w @ r(x, y_i) - beta (log pi(y_i|x) - log pi_ref(y_i|x))``, the step is along
    the mean over texts of ``(R_i - mean of the other R_j on the prompt) * gradient of log pi(y_i|x)``.

    Parameters
    ----------
    model : PreTrainedModel
        The policy; it is changed.
    reference : PreTrainedModel
        The reference policy.
    tokenizer : PreTrainedTokenizerBase
        Of both.
    prompts : sequence of Prompt, length X
        How texts begin.
    reward : GroupReward
        Scores texts for every group, and moves the groups' weights.
    optimizer : torch.optim.Optimizer
        Of the policy's parameters.
    n_samples : int
        Texts on each prompt, at least 2.
    n_tokens : int
        Tokens of a text at most.
    beta : float
        KL strength, in units of the reward a nat.
    seed : int
        Of the texts that are drawn.
    drawn : list of list of int, length X * n_samples, or None
        Texts that the policy has drawn already, prompt by prompt, as token ids; None draws them here.

    Returns
    -------
    dict of str to float
        ``loss``, ``grad_norm`` (length of the gradient before it is cut to 1), ``kl`` (mean over texts, in nats), and
        what the reward logs, among it ``weight/GROUP`` and ``value/GROUP``.

    References
    ----------
    Ahmadian et al. (2024), Back to basics: revisiting REINFORCE-style optimization for learning from human feedback.

    Examples
    --------
    >>> from maxmin_core.lm.reference import make_gpt2, make_tokenizer
    >>> tokenizer = make_tokenizer(["the film is good"], 4)
    >>> model, reference = (make_gpt2(tokenizer, positions=8, layers=1, width=8, heads=1, seed=0) for _ in range(2))
    >>> def reward(prompts, completions, log_metric):
    ...     return [-float(len(text.split())) for text in completions]
    >>> optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.0)
    >>> options = {"n_samples": 4, "n_tokens": 3, "beta": 0.1}
    >>> metrics = max_min_step(model, reference, tokenizer, ["the film"], reward, optimizer, **options)
    >>> metrics["kl"], metrics["grad_norm"] > 0
    (0.0, True)
    """
    prompts = [prompt for prompt in prompts for _ in range(n_samples)]
    metrics: dict[str, float] = {}

    # 1. The policy writes n_samples texts for each prompt.
    if drawn is None:
        drawn = sample(model, tokenizer, prompts, n_tokens=n_tokens, seed=seed)
    texts = tokenizer.batch_decode(drawn, skip_special_tokens=True)

    # 2. Every text is scored for every group; the welfare turns the groups' means
    #    into weights, and the weighted reward comes back: w @ r(x, y).
    weighted = torch.tensor(reward(prompts, texts, log_metric=metrics.__setitem__))

    # 3. What a text costs in divergence is taken off: log pi(y|x) - log pi_ref(y|x).
    #    The score judges the text; nothing is differentiated here.
    x = prompt_tokens(model, tokenizer, prompts, n_tokens)
    log_policy = log_probability(model, x, drawn)
    with torch.no_grad():
        divergence = log_policy - log_probability(reference, x, drawn)
        score = (weighted - beta * divergence).view(-1, n_samples)

        # 4. A text is good as far as it beats the mean of the others on its prompt.
        others = (score.sum(dim=1, keepdim=True) - score) / (n_samples - 1)
        advantage = (score - others).flatten()

    # 5. The ratio of the policy to the one that drew the texts is 1 here, and its
    #    gradient is that of log pi. (A trainer that used the texts again would have to
    #    bound it.) The advantages of a prompt sum to zero, and so does the loss: its
    #    gradient is what counts.
    ratio = torch.exp(log_policy - log_policy.detach())
    loss = -(advantage * ratio).mean()

    # 6. Downhill, with a gradient no longer than 1.
    optimizer.zero_grad()
    loss.backward()
    length = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    metrics |= {"loss": loss.item(), "grad_norm": length.item()}
    return metrics | {"kl": divergence.mean().item()}


class Witness(TrainerCallback):
    """Stand between TRL's trainer and a reward, and keep what every step did: its texts and its gradient.

    Pass it to `trainer.make_trainer` as the reward and as a callback.

    Parameters
    ----------
    reward : callable
        The reward that TRL is to use.

    Attributes
    ----------
    texts : list of tuple
        Of every step, the prompts, each as often as texts were drawn on it, and the texts' token ids.
    gradients : list of dict of str to Tensor
        Of every step, what the optimiser was given, by the name of the parameter.

    Examples
    --------
    >>> def reward(prompts, completions, **_):
    ...     return [0.0 for _ in completions]
    >>> witness = Witness(reward)
    >>> witness(["the film"], ["drags"], completion_ids=[[7, 3]]), witness.texts
    ([0.0], [(['the film'], [[7, 3]])])
    """

    __name__ = "witness"

    def __init__(self, reward: Callable[..., list[float]]) -> None:
        self.reward = reward
        self.texts: list[tuple[list[str], list[list[int]]]] = []
        self.gradients: list[dict[str, torch.Tensor]] = []

    def __call__(
        self, prompts: list[str], completions: list[str], *, completion_ids: list[list[int]], **more: Any
    ) -> list[float]:
        """Return the reward of the texts, and keep them.

        Parameters
        ----------
        prompts : list of str, length n
            How the texts begin.
        completions : list of str, length n
            How they go on.
        completion_ids : list of list of int, length n
            The same as token ids.
        **more
            Whatever else TRL passes on.

        Returns
        -------
        list of float, length n
        """
        self.texts.append((prompts, completion_ids))
        return self.reward(prompts, completions, **more)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Keep the gradient; the trainer calls this.

        Parameters
        ----------
        args : TrainingArguments
            Not looked at.
        state : TrainerState
            Not looked at.
        control : TrainerControl
            Not looked at.
        **more
            Among it the model.
        """
        self.gradients.append({name: p.grad.clone() for name, p in more["model"].named_parameters()})
