"""Streams beside one another."""

from __future__ import annotations

import torch

from planar3d.phantom.stream import fork


def test_a_fork_leaves_its_generator_where_it_stands() -> None:
    a, b = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    fork(a, "breathing")
    assert torch.equal(torch.rand(5, generator=a), torch.rand(5, generator=b))


def test_forks_differ_by_name_and_by_where_they_start() -> None:
    generator = torch.Generator().manual_seed(3)
    one, same, other = (torch.rand(4, generator=fork(generator, name)) for name in ("a", "a", "b"))
    torch.rand(1, generator=generator)
    later = torch.rand(4, generator=fork(generator, "a"))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one, later)
