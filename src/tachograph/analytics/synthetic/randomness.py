"""Random numbers as polars expressions: the same seed and rows, the same numbers.

Each draw has a name, and rows are told apart by a column of numbers: a draw is a hash of both,
by polars' own hash, which may be another in another version of polars.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

_STEPS = 2**53


@dataclass(frozen=True)
class Draws:
    """Draws for the rows that a column of whole numbers tells apart."""

    seed: int
    rows: pl.Expr

    def integer(self, name: str, below: int) -> pl.Expr:
        """A whole number from 0 up to, not including, `below` (2^53 at most)."""
        return self._hash(name) % below

    def uniform(self, name: str) -> pl.Expr:
        """A number in [0, 1)."""
        return (self._hash(name) % _STEPS).cast(pl.Float64) / _STEPS

    def normal(self, name: str) -> pl.Expr:
        """A number of the standard normal distribution (Box and Muller)."""
        radius = ((1 - self.uniform(f"{name} radius")).log() * -2).sqrt()
        return radius * (self.uniform(f"{name} angle") * (2 * math.pi)).cos()

    def lognormal(self, name: str, median: pl.Expr | float, spread: float) -> pl.Expr:
        """A positive number around a median, with a long tail upwards."""
        return (self.normal(name) * spread).exp() * median

    def happens(self, name: str, share: pl.Expr | float) -> pl.Expr:
        """True in this share of the rows."""
        return self.uniform(name) < share

    def index(self, name: str, weights: Sequence[float]) -> pl.Expr:
        """The place of one of the weights, each as often as it weighs."""
        return place(self.uniform(name), weights)

    def one_of(self, name: str, choices: Sequence[str]) -> pl.Expr:
        """One of the texts, all equally often."""
        return pl.lit(pl.Series(choices)).gather(self.integer(name, len(choices)))

    def hexadecimal(self, name: str, digits: int) -> pl.Expr:
        """So many digits, a multiple of four."""
        return pl.concat_str(
            hex4(self.integer(f"{name} {at}", 2**16)) for at in range(0, digits, 4)
        )

    def _hash(self, name: str) -> pl.Expr:
        key = blake2b(f"{self.seed} {name}".encode(), digest_size=8).digest()
        return self.rows.hash(int.from_bytes(key))


def place(share: pl.Expr, weights: Sequence[float]) -> pl.Expr:
    """The place of the weight that a share in [0, 1) falls into."""
    ends, end = [], 0.0
    for weight in weights[:-1]:
        end += weight / sum(weights)
        ends.append(end)
    return pl.lit(pl.Series(ends, dtype=pl.Float64)).search_sorted(share, side="right")


def hex4(number: pl.Expr) -> pl.Expr:
    """A whole number below 2^16 in four hexadecimal digits."""
    return _HEX4.gather(number)


_HEX4 = pl.lit(pl.Series([f"{number:04x}" for number in range(2**16)]))
