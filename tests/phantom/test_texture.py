"""Properties of the texture inside organs; that it keeps an organ's total is tested with whole phantoms."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom import Texture
from planar3d.phantom.texture import TextureRecord

QUIET = {"sigma": 0.0, "segments": 0.0}


def mean_factor(texture: Texture, anatomy: SimpleNamespace, name: str, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean factor over some patients at the voxels of an organ, and the indices of those voxels."""
    record = TextureRecord.stack([texture.draw(torch.Generator().manual_seed(k)) for k in range(n)])
    factor = texture.render(record, anatomy.labels.expand(n, -1, -1, -1, -1), anatomy.grid).mean(dim=0)[0]
    inside = anatomy.labels[0, 0] == organ_id(name)
    return factor[inside], inside.nonzero().float()


def test_proximal_bowel_up_on_the_left_holds_more(anatomy: SimpleNamespace) -> None:
    factor, place = mean_factor(Texture(organs={"small_bowel": {**QUIET, "proximal": 0.7}}), anatomy, "small_bowel")
    along = place[:, 2] - place[:, 0]  # +x is the patient's right
    assert float(torch.corrcoef(torch.stack([along, factor.log()]))[0, 1]) > 0.99
    assert float(factor.mean()) == pytest.approx(1.0, abs=1e-3)


def test_coefficients_of_one_organ_leave_the_others(anatomy: SimpleNamespace) -> None:
    changed, usual = Texture(organs={"small_bowel": {"proximal": 0.7}}), Texture()
    for name in ("liver", "kidney_left"):
        torch.testing.assert_close(mean_factor(changed, anatomy, name)[0], mean_factor(usual, anatomy, name)[0])


def test_the_cortex_of_a_kidney_holds_more_than_its_pelvis(anatomy: SimpleNamespace) -> None:
    factor, place = mean_factor(Texture(), anatomy, "kidney_left")
    depth = (place - place.mean(dim=0)).norm(dim=1)
    assert factor[depth > depth.quantile(0.8)].mean() > 1.2 * factor[depth < depth.quantile(0.2)].mean()


def test_an_organ_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="not known"):
        Texture(organs={"purse": {"sigma": 0.1}})
