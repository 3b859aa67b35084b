"""What the ids in a label map mean, and their translation to the library's organs.

A scheme is a table id -> organ. Its source, in this order: what the user says, the names in the file's header, and else the CT: of
the schemes that know every id, the one whose bones are dense, whose lungs are light and whose soft organs are neither. Where that does not
single one out, the user is asked.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.anatomy.totalsegmentator import HEAD_GLANDS_CLASSES, ORGAN_OF_CLASS, V1_CLASSES, V2_CLASSES
from planar3d.organs import BACKGROUND, GROUPS, ORGANS, organ_id

__all__ = [
    "HEAD_GLANDS",
    "SCHEMES",
    "TOTALSEGMENTATOR_V1",
    "TOTALSEGMENTATOR_V2",
    "LabelScheme",
    "detect_scheme",
    "read_labels",
    "scheme_from_json",
    "translate",
]

BONE_MIN_HU = 90.0
LUNG_MAX_HU = -350.0
SOFT_RANGE_HU = (-150.0, 250.0)
FIT_NEEDED = 0.9


@dataclass(frozen=True, kw_only=True)
class LabelScheme:
    """Meaning of the ids in a label map.

    Attributes:
        name: What to call it.
        organs: Id to organ name of `planar3d.organs`. Id 0 is always unlabelled and need not stand here.
    """

    name: str
    organs: dict[int, str]

    def __post_init__(self) -> None:
        for identifier, organ in self.organs.items():
            if identifier < 0:
                raise ValueError(f"label scheme {self.name!r} has the id {identifier}; ids must not be negative")
            organ_id(organ)


def _total_segmentator(name: str, classes: tuple[str, ...]) -> LabelScheme:
    return LabelScheme(name=name, organs={i: ORGAN_OF_CLASS[c] for i, c in enumerate(classes, start=1)})


TOTALSEGMENTATOR_V1 = _total_segmentator("totalsegmentator_v1", V1_CLASSES)
TOTALSEGMENTATOR_V2 = _total_segmentator("totalsegmentator_v2", V2_CLASSES)
HEAD_GLANDS = _total_segmentator("head_glands", HEAD_GLANDS_CLASSES)

SCHEMES: dict[str, LabelScheme] = {s.name: s for s in (TOTALSEGMENTATOR_V1, TOTALSEGMENTATOR_V2, HEAD_GLANDS)}
"""Schemes known by name."""


def scheme_from_json(path: str | Path) -> LabelScheme:
    """A user's own scheme, ``{"1": "liver", "2": "kidney_left", ...}``; values are our organ names or TotalSegmentator class names.

    Raises:
        ValueError: The file is missing, no such JSON, or names an organ that is not known.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"label_scheme {path} is neither a file nor a known scheme; known are auto, {', '.join(SCHEMES)}")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        names = {int(key): str(value) for key, value in table.items()}
    except (ValueError, AttributeError) as error:
        raise ValueError(f'label_scheme {path} is not a JSON table of id to organ; write it as {{"1": "liver", "2": "spleen"}}') from error
    return _scheme_from_names(path.name, names)


def detect_scheme(
    ids: Collection[int], header_names: Mapping[int, str] | None = None, mean_hu: Mapping[int, float] | None = None
) -> LabelScheme:
    """Find out which scheme a label map follows.

    Args:
        ids: The ids that occur, 0 or not.
        header_names: Class names that the file's header holds.
        mean_hu: Mean CT number of the voxels of each id [HU].

    Raises:
        ValueError: No scheme fits, or more than one does.
    """
    present = sorted(i for i in ids if i != BACKGROUND)
    if header_names:
        return _scheme_from_names("file header", dict(header_names))
    candidates = [s for s in SCHEMES.values() if set(present) <= set(s.organs)]
    if mean_hu:
        candidates = [s for s in candidates if _fits(s, {i: mean_hu[i] for i in present})]
    if len(candidates) == 1:
        return candidates[0]
    fits = f"more than one known scheme ({', '.join(s.name for s in candidates)})" if candidates else "no known scheme clearly"
    raise ValueError(
        f"label ids {_listed(present)} fit {fits}; say what they mean with label_scheme={' | '.join(SCHEMES)}, or the path of a JSON file "
        f"of id to organ"
    )


def translate(labels: Integer[Tensor, "*shape"], scheme: LabelScheme) -> Integer[Tensor, "*shape"]:
    """Organ ids of a label map.

    Args:
        labels: Ids as the file has them.
        scheme: What they mean.

    Returns:
        Ids of `planar3d.organs`, int64, of the same shape.

    Raises:
        ValueError: The map holds ids that the scheme does not know.
    """
    values, positions = torch.unique(labels, return_inverse=True)
    table = {BACKGROUND: ORGANS[BACKGROUND], **scheme.organs}
    unknown = [int(v) for v in values if int(v) not in table]
    if unknown:
        raise ValueError(
            f"labels hold the ids {_listed(unknown)} that label scheme {scheme.name!r} does not know; known are {_listed(sorted(table))}; "
            f"pass another label_scheme or the path of a JSON file of id to organ"
        )
    ids = torch.tensor([organ_id(table[int(v)]) for v in values], dtype=torch.int64, device=labels.device)
    return ids[positions]


def read_labels(
    labels: Integer[Tensor, "1 x y z"],
    *,
    label_scheme: str | Path | Mapping[int, str] | Mapping[str, str | None],
    header_names: Mapping[int, str],
    ct_hu: Float[Tensor, "1 x y z"],
) -> Integer[Tensor, "1 x y z"]:
    """Organ ids of a label map as a user hands it over.

    Args:
        labels: Ids as the file has them.
        label_scheme: ``"auto"``, a name in `SCHEMES`, the path of a JSON file, or a table of id to organ itself.
        header_names: Class names that the file's header holds, perhaps none.
        ct_hu: The CT on the same grid; judges between schemes [HU].
    """
    if isinstance(label_scheme, Mapping):
        return translate(labels, _scheme_from_names("given", _of_ids(label_scheme)))
    if str(label_scheme) in SCHEMES:
        return translate(labels, SCHEMES[str(label_scheme)])
    if str(label_scheme) != "auto":
        return translate(labels, scheme_from_json(label_scheme))
    if header_names:
        return translate(labels, detect_scheme([], header_names))
    values, positions, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(values), dtype=torch.float64).index_add_(0, positions.flatten().cpu(), ct_hu.flatten().double().cpu())
    mean_hu = {int(v): float(s / n) for v, s, n in zip(values, sums, counts, strict=True)}
    return translate(labels, detect_scheme(list(mean_hu), mean_hu=mean_hu))


def _of_ids(table: Mapping[int, str] | Mapping[str, str | None]) -> dict[int, str]:
    """A table given for a label map, whose structures have ids and no names."""
    try:
        return {int(key): str(value) for key, value in table.items()}
    except ValueError as error:
        raise ValueError("label_scheme has names for keys, and a label map has ids; give id to organ, as {1: liver, 2: spleen}") from error


def _scheme_from_names(name: str, names: dict[int, str]) -> LabelScheme:
    """Scheme whose values may be our organs or TotalSegmentator classes."""
    unknown = sorted({n for n in names.values() if n not in ORGANS and n not in ORGAN_OF_CLASS})
    if unknown:
        raise ValueError(
            f"label scheme {name!r} names {', '.join(map(repr, unknown))}, which is no organ or TotalSegmentator class; organs are "
            f"{', '.join(ORGANS)}"
        )
    return LabelScheme(name=name, organs={i: n if n in ORGANS else ORGAN_OF_CLASS[n] for i, n in names.items()})


def _fits(scheme: LabelScheme, mean_hu: Mapping[int, float]) -> bool:
    """Whether the CT numbers are those of the organs named, told by bone or lung: soft organs all look alike."""
    kinds = {i: _kind(scheme.organs[i]) for i in mean_hu}
    telling = [i for i, kind in kinds.items() if kind != "soft"]
    if not telling:
        return False
    low, high = SOFT_RANGE_HU
    agrees = {"bone": lambda hu: hu > BONE_MIN_HU, "lung": lambda hu: hu < LUNG_MAX_HU, "soft": lambda hu: low < hu < high}
    return all(sum(agrees[kinds[i]](mean_hu[i]) for i in group) >= FIT_NEEDED * len(group) for group in (telling, list(mean_hu)))


def _kind(organ: str) -> str:
    """Bone, lung or soft."""
    if organ in GROUPS["skeleton"]:
        return "bone"
    return "lung" if organ in GROUPS["lungs"] or organ == "trachea" else "soft"


def _listed(ids: list[int], most: int = 12) -> str:
    """Ids in a message, shortened."""
    shown = ", ".join(map(str, ids[:most]))
    return f"{shown}, ... ({len(ids)} in all)" if len(ids) > most else shown
