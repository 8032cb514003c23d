"""A profile whose every size is another, and what stands for a configuration of TRL."""

from maxmin_core.lm.profiles import Profile

# No two sizes are equal, and no default is among them.
ODD = Profile(
    "odd",
    vocabulary=60,
    layers=1,
    width=16,
    heads=2,
    longest=11,
    reference_steps=70,
    reference_batch=6,
    reference_rate=0.004,
    new_tokens=6,
    prompts_per_step=3,
    samples_per_prompt=4,
    steps=50,
    rate=0.002,
    beta=0.25,
    reward_steps=35,
    reward_rate=0.003,
    reward_batch=10,
    lora_alpha=24,
)


def recorded(kind):
    return lambda **given: (kind, given)
