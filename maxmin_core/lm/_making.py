"""How the policy of every method is made: trained, combined of the groups' own policies, or chosen among texts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from accelerate import PartialState
from numpy.typing import NDArray
from scipy.special import rel_entr
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from .._files import write_json
from ..alignment.bargaining import Nash, Regret
from ..alignment.welfare import Egalitarian, Utilitarian, Welfare
from ._devices import free
from .base import Base, Ground
from .combined import Product, best_soup, regret_weights, room_for_soup
from .policy import load_policy, log_probabilities
from .prediction import begin_at, choose, draw
from .profiles import Profile
from .prompts import Prompt
from .reward import Rewards
from .texts import Texts, write_texts
from .train import METHODS, Method, train

__all__ = ["UNTRAINED", "Beneath", "Made", "Making"]

# What is made without a training of its own.
UNTRAINED = ("soup", "product", "choice")
# Texts among which one is chosen, and from which weights are predicted; prompts of a step of mirror descent.
_N_CHOICES, _N_DESCENT = 16, 256


class Beneath:
    """The reference under a policy of adapters: its own base, with the adapters switched off.

    Policies are loaded from their files to be judged, so nothing has been merged into that base.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, *given: Any, **more: Any) -> Any:
        """Return what the base makes of a text."""
        with self.model.disable_adapter():
            return self.model(*given, **more)

    def generate(self, *given: Any, **more: Any) -> Any:
        """Draw texts from the base."""
        with self.model.disable_adapter():
            return self.model.generate(*given, **more)


class Made(NamedTuple):
    """Hold the policy of a method; where it is a choice among texts of the reference, these texts and what it costs."""

    model: Any
    texts: Texts | None = None
    divergence: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Making:
    """Hold what all methods of a setting and seed begin with; the reference is loaded when it is asked for."""

    base: Base | Ground
    rewards: dict[str, Rewards]
    groups: tuple[str, ...]
    profile: Profile
    seed: int
    _held: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def reference(self) -> PreTrainedModel:
        """The reference policy."""
        if "model" not in self._held:
            self._held["model"] = self._load(self.base.reference)
        return self._held["model"]

    def beside(self, model: Any) -> Any:
        """Return the reference of a policy: with adapters, no second copy of it."""
        from peft import PeftModel

        return Beneath(model) if isinstance(model, PeftModel) else self.reference

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""
        if "tokenizer" not in self._held:
            self._held["tokenizer"] = AutoTokenizer.from_pretrained(self.base.reference, padding_side="left")
        return self._held["tokenizer"]

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of the mixture's groups: the true ones, which they are matched to, where there are as many."""
        n = len(self.rewards["mixture"].shares)
        return self.groups if n == len(self.groups) else tuple(f"learned {k + 1}" for k in range(n))

    def policy(self, name: str, beta: float, folder: Path, *, seed_of_texts: int) -> Made:
        """Make the policy of a method, or load what was made of it before."""
        if name == "reference":
            return Made(self.reference)
        if name == "choice":
            return self._choice(beta, folder, seed_of_texts)
        if name == "soup":
            return Made(self._soup(beta, folder))
        if name == "product":
            return Made(self._product(beta, folder))
        method = METHODS[name]
        rewards = self.rewards[method.rewards]
        groups = {"single": ["everybody"], "known": self.groups, "mixture": self.learned}[method.rewards]
        welfare: Welfare | None = None
        start = None
        if method.welfare is Regret:
            welfare = Regret(self._best_values(self._members(beta, folder.parent), beta))
        elif method.welfare is Nash:
            # Without an agreement the reference stays, where calibrated rewards have mean zero.
            welfare = Nash(np.zeros(len(groups)))
        if method.predicted:
            draws = self._draws(self.base.train, self.seed)
            start = begin_at(draws.solve(method.welfare() if welfare is None else welfare, beta).weights)
        self._train(method, rewards, groups, folder, beta, welfare=welfare, start=start)
        return Made(self._load(folder))

    def texts(self, model: Any, prompts: list[Prompt], seed: int) -> Texts:
        """Draw one text on every prompt."""
        return write_texts(model, self.tokenizer, prompts, n_tokens=self.profile.new_tokens, seed=seed)

    def _load(self, folder):
        return load_policy(folder, cpu=self.profile.cpu, bf16=self.profile.base_bf16)[0]

    def _train(self, method, rewards, groups, folder, beta, **more):
        base, profile = self.base, self.profile
        if not profile.cpu:
            # A trainer loads its own; on a GPU there is no room for another.
            self._held.clear()
            free()
        train(method, rewards, groups, base.train, base.reference, profile, folder, seed=self.seed, beta=beta, **more)

        if not profile.cpu:
            free()

    def _members(self, beta, folder):
        """Train a policy for every group alone; soup, product and regret share them."""
        members = []
        for u, group in enumerate(self.learned):
            there = folder / f"group-{u}@{beta:g}"
            alone = Method(f"only {group}", "mixture", Utilitarian)
            self._train(alone, self.rewards["mixture"].of([u]), [group], there, beta)
            members.append(self._load(there))
        return members

    def _best_values(self, members, beta):
        """Return what every group gets from its own policy: A(r_u), as far as training came."""
        best = []
        for u, member in enumerate(members):
            texts = self.texts(member, self.base.train, self.seed)
            here, there = (
                log_probabilities(m, self.tokenizer, texts.prompts, texts.ids) for m in (member, self.beside(member))
            )
            best.append(float(self.rewards["mixture"](*texts.pair)[u].mean() - beta * (here - there).mean()))
        return np.array(best)

    def _soup(self, beta, folder):
        """Average the groups' parameters; keep the mix whose worst-off group is best off by the learned rewards."""
        members = self._members(beta, folder.parent)
        model = self._load(self.base.reference)
        if self.profile.lora:
            model = room_for_soup(model, members)

        def value(soup):
            return self.rewards["mixture"](*self.texts(soup, self.base.train, self.seed).pair).mean(axis=1)

        mix, worst = best_soup(model, members, value)
        if PartialState().is_main_process:
            model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        self._note(folder, "mix.json", mix=mix, worst=worst)
        return model

    def _product(self, beta, folder):
        """Multiply the groups' policies, with the weights of the least largest regret."""
        members = self._members(beta, folder.parent)
        best = self._best_values(members, beta)

        def expected(weights, step):
            texts = self.texts(Product(members, weights), self.base.train[:_N_DESCENT], 1000 * self.seed + step)
            return self.rewards["mixture"](*texts.pair).mean(axis=1)

        weights = regret_weights(expected, best)
        self._note(folder, "weights.json", weights=weights.tolist(), best=best.tolist())
        return Product(members, weights)

    def _choice(self, beta, folder, seed):
        """Choose one of several texts of the reference on every prompt: max-min over all prompts at once."""
        draws = self._draws(self.base.baseline.prompts, seed)
        solution = draws.solve(Egalitarian(), beta)
        self._note(folder, "weights.json", weights=solution.weights.tolist(), gap=solution.gap)
        divergence = rel_entr(solution.policy, 1 / solution.policy.shape[1]).sum(axis=1)
        return Made(self.reference, choose(draws, solution.policy, seed=seed), divergence)

    def _draws(self, prompts, seed):
        return draw(
            self.reference,
            self.tokenizer,
            prompts,
            self.rewards["mixture"],
            n_samples=_N_CHOICES,
            n_tokens=self.profile.new_tokens,
            seed=seed,
        )

    def _note(self, folder, name, **found):
        if PartialState().is_main_process:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / name, {"groups": list(self.learned), **found})
