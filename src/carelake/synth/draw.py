"""Random numbers that depend on nothing but the seed, what is drawn, and the row's number.

A generator with a state would give other hospitals for other chunk sizes, and could not answer "what did row 7,000,000
look like on day 3" without making all rows before it. This one is a hash (splitmix64) of a counter, on whole arrays.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from math import exp, log
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]
Flags = NDArray[np.bool_]

STEPS = 1024  # of a quantile table


def draw(seed: str, what: str, ids: Ints, turn: int = 0) -> Bits:
    """64 random bits for each id; other ones for another seed, another `what`, or another turn."""
    bits = ids.astype(np.uint64)
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits += np.uint64(_salt(seed, what, turn))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits


def below(bits: Bits, limit: int | Ints) -> Ints:
    """Whole numbers from 0 up to `limit`, which is not among them and is under 2**31."""
    high = (bits >> np.uint64(33)).astype(np.int64)
    high *= limit
    high >>= 31
    return high


def chance(bits: Bits, per_mille: float) -> Flags:
    """True for about so many of a thousand."""
    return (bits >> np.uint64(11)) < np.uint64(round(per_mille * 2**53 / 1000))


def pick(bits: Bits, weights: tuple[int, ...]) -> Ints:
    """The place of one of the weights, each as often as it weighs."""
    steps = np.cumsum(np.array(weights, dtype=np.int64))
    return np.searchsorted(steps, below(bits, int(steps[-1])), side="right").astype(np.int64)


def spread(bits: Bits, quantiles: Ints) -> Ints:
    """Numbers distributed as the quantile table says."""
    return quantiles[(bits >> np.uint64(54)).astype(np.int64)]


@cache
def lognormal(median: float, sigma: float) -> Ints:
    """Quantiles of a log-normal distribution as whole numbers: integers stay the same on every machine."""
    normal = NormalDist(log(median), sigma)
    return np.array([round(exp(normal.inv_cdf((i + 0.5) / STEPS))) for i in range(STEPS)], dtype=np.int64)


@cache
def _salt(seed: str, what: str, turn: int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{what}/{turn}".encode(), digest_size=8).digest(), "big")
