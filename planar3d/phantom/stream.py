"""Streams of random numbers beside one another.

A component that is added to a synthesis draws from a fork of the generator, so that what the others draw stays as it was.
"""

from __future__ import annotations

import torch

__all__ = ["fork"]


def fork(generator: torch.Generator, name: str) -> torch.Generator:
    """A generator of its own that follows from where another stands, which stays there.

    Args:
        generator: Drawn from, then put back.
        name: What the numbers are for; another name, other numbers.
    """
    state = generator.get_state()
    word = int(torch.randint(1 << 31, (), generator=generator))
    generator.set_state(state)
    for letter in name.encode():
        word = (word * 0x01000193 ^ letter) & 0xFFFFFFFF  # FNV-1
    return torch.Generator().manual_seed(word)
