"""Labels given hold what was drawn: both of a pair or none, always what a dosimetry outlines and a CT shows, any share of the rest."""

from __future__ import annotations

import torch

from planar3d.data.segmented_organs import holding, segmented_organs
from planar3d.organs import ABSENT_IN_POOR_SEGMENTATION, BODY, GROUPS, LESIONS, ORGANS, organ_id


def test_a_complete_segmentation_holds_all_and_a_poor_one_all_but_what_it_lacks() -> None:
    assert segmented_organs(poor=False).all()
    lacking = {ORGANS[k] for k in (~segmented_organs(poor=True)).nonzero().flatten().tolist()}
    assert lacking == set(ABSENT_IN_POOR_SEGMENTATION)


def test_sparse_segmentations_keep_the_organs_of_a_dosimetry_and_what_the_ct_shows() -> None:
    held = torch.stack([segmented_organs(poor=False, sparse_seed=seed) for seed in range(300)])
    always = {"background", "body", "liver", "spleen", *GROUPS["kidneys"], *GROUPS["lungs"], *GROUPS["skeleton"], *LESIONS}
    assert {ORGANS[k] for k in held.all(dim=0).nonzero().flatten().tolist()} == always
    share = held[:, [organ_id(name) for name in ORGANS if name not in always]].float().mean(dim=1)
    assert share.min() < 0.1
    assert share.max() > 0.9
    for side in ("parotid", "submandibular", "adrenal"):
        assert torch.equal(held[:, organ_id(f"{side}_left")], held[:, organ_id(f"{side}_right")])


def test_a_sparse_segmentation_may_be_poor_besides_and_is_the_same_each_time() -> None:
    once, again = (segmented_organs(poor=True, sparse_seed=4) for _ in range(2))
    assert torch.equal(once, again)
    assert not once[[organ_id(name) for name in ABSENT_IN_POOR_SEGMENTATION]].any()


def test_an_organ_that_is_not_held_is_body() -> None:
    labels = torch.tensor([0, 1, organ_id("liver"), organ_id("heart")]).view(1, 1, 2, 2, 1).repeat(2, 1, 1, 1, 1)
    held = torch.ones(2, len(ORGANS), dtype=torch.bool)
    held[1, organ_id("heart")] = False
    given = holding(labels, held)
    assert torch.equal(given[0], labels[0])
    assert given[1].flatten().tolist() == [0, 1, organ_id("liver"), BODY]
