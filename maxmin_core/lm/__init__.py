"""The language-model experiment: text, policy, simulated annotators, rewards, training. torch lives here alone."""
