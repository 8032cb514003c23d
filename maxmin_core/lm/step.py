"""The training step itself: max-min RLOO in plain PyTorch, from drawing texts to the optimiser's step.

TRL's trainer, which the runs use, does the same on any number of machines; a test holds this page of code to its loss and
gradient. Chapter 8.
"""

import torch

from .policy import prompt_tokens, sample

__all__ = ["log_probability", "max_min_step"]


def log_probability(model, prompt_ids, completion_ids):
    """Return log pi(y | x) of every text, in nats, as a tensor (n,) that can be differentiated."""
    lengths = torch.tensor([len(ids) for ids in completion_ids])
    width = int(lengths.max())
    x = torch.tensor(prompt_ids)
    # What fills up a short text stands behind it: no token of the text looks there, and it is not counted.
    y = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in completion_ids])
    counted = torch.arange(width) < lengths[:, None]
    # The logits at one position are about the token at the next.
    seen = torch.cat([torch.ones_like(x), counted], dim=1)
    logits = model(torch.cat([x, y], dim=1), attention_mask=seen).logits[:, x.shape[1] - 1 : -1]
    each = logits.log_softmax(-1).gather(-1, y[..., None])[..., 0]
    return (each * counted).sum(dim=1)


def max_min_step(
    model, reference, tokenizer, prompts, reward, optimizer, *, n_samples, n_tokens, beta, seed=0, drawn=None
):
    """Take one step of max-min RLOO."""
    prompts = [prompt for prompt in prompts for _ in range(n_samples)]
    metrics = {}

    # 1. The policy writes n_samples texts for each prompt.
    if drawn is None:
        drawn = sample(model, tokenizer, prompts, n_tokens=n_tokens, seed=seed)
    texts = tokenizer.batch_decode(drawn, skip_special_tokens=True)

    # 2. Every text is scored for every group; the welfare turns the groups' means into weights, and the weighted
    #    reward comes back: w @ r(x, y).
    weighted = torch.tensor(reward(prompts, texts, log_metric=metrics.__setitem__))

    # 3. What the text costs in divergence is taken off, log pi(y|x) - log pi_ref(y|x) for this one text. The score is
    #    a number by which the text is judged: nothing is differentiated here.
    x = prompt_tokens(model, tokenizer, prompts, n_tokens)
    log_policy = log_probability(model, x, drawn)
    with torch.no_grad():
        divergence = log_policy - log_probability(reference, x, drawn)
        score = (weighted - beta * divergence).view(-1, n_samples)

        # 4. A text is as good as it is better than the mean of the *others* on its prompt.
        others = (score.sum(dim=1, keepdim=True) - score) / (n_samples - 1)
        advantage = (score - others).flatten()

    # 5. The ratio of the policy to the one that drew the texts is 1 here; its gradient is that of log pi. (A trainer that
    #    used the texts again would have to bound it.) The advantages of a prompt sum to zero, and so does the loss: its
    #    gradient is what counts.
    ratio = torch.exp(log_policy - log_policy.detach())
    loss = -(advantage * ratio).mean()

    # 6. Downhill, with a gradient no longer than 1.
    optimizer.zero_grad()
    loss.backward()
    length = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return metrics | {"loss": loss.item(), "grad_norm": length.item(), "kl": divergence.mean().item()}
