"""Answers to the exercises of chapters 10 and 11: right ones, then wrong ones by the mistake in words."""

LATER = {
    "ex-thin": (
        "def adapter_size(n_in, n_out, rank):\n    return rank * (n_in + n_out)\n\n"
        "def no_longer_smaller(n_in, n_out):\n    return -(-n_in * n_out // (n_in + n_out))",
        {
            "one matrix": "def adapter_size(n_in, n_out, rank):\n    return rank * n_in\n\n"
            "def no_longer_smaller(n_in, n_out):\n    return n_out",
            "rounded down": "def adapter_size(n_in, n_out, rank):\n    return rank * (n_in + n_out)\n\n"
            "def no_longer_smaller(n_in, n_out):\n    return n_in * n_out // (n_in + n_out)",
        },
    ),
    "ex-fit": (
        "def bytes_of(n, a, groups):\n    return 6 * n + 16 * a + 4 * a * groups",
        {
            "no moments": "def bytes_of(n, a, groups):\n    return 6 * n + 8 * a + 4 * a * groups",
            "bases for all": "def bytes_of(n, a, groups):\n    return 4 * n + 2 * n * groups + 16 * a + 4 * a * groups",
            "trained rewards": "def bytes_of(n, a, groups):\n    return 6 * n + 16 * a + 16 * a * groups",
        },
    ),
    "ex-is-it-a-coin": (
        "def is_a_coin(share, slip, wrong, of):\n    coin = share * 0.5**of\n"
        "    other = (1 - share) * slip**wrong * (1 - slip) ** (of - wrong)\n    return coin / (coin + other)",
        {
            "the share is forgotten": "def is_a_coin(share, slip, wrong, of):\n"
            "    return 0.5**of / (0.5**of + slip**wrong * (1 - slip) ** (of - wrong))",
            "nothing is learned": "def is_a_coin(share, slip, wrong, of):\n    return share",
            "the right answers do not count": "def is_a_coin(share, slip, wrong, of):\n"
            "    return share * 0.5**wrong / (share * 0.5**wrong + (1 - share) * slip**wrong)",
        },
    ),
    "ex-agreement": (
        """
def how_often_two_agree(c, p):
    q = (1 - c) * p + c / 2
    return q**2 + (1 - q) ** 2


def same_agreement(c, p):
    q = (1 - c) * p + c / 2
    other = (q + 1) / 2 if abs((q + 1) / 2 - p) > 1e-3 else (q + 3) / 4
    return (other - q) / (other - 0.5), other
""",
        {
            "both are alike": "def how_often_two_agree(c, p):\n    return (1 - c) * (p**2 + (1 - p) ** 2) + c / 2\n"
            "def same_agreement(c, p):\n    return c, p",
            "both right": "def how_often_two_agree(c, p):\n    return ((1 - c) * p + c / 2) ** 2\n"
            "def same_agreement(c, p):\n    return c / 2, p",
        },
    ),
}
