"""Which organ each outlined structure of a file becomes: what the user says, and else what its name says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from planar3d.anatomy.labels import SCHEMES
from planar3d.anatomy.outline_names import LESION, fold, organ_of, pair_of
from planar3d.anatomy.totalsegmentator import ORGAN_OF_CLASS
from planar3d.organs import LESIONS, ORGANS

__all__ = ["organs_of_outlines", "scheme_of_names"]

EXAMPLE = '{"Kidney li": "kidney_left", "PTV 1": null}'


def scheme_of_names(label_scheme: str | Path | Mapping[int, str] | Mapping[str, str | None]) -> dict[str, str | None]:
    """What the user says of names: a table of name to organ, empty for ``"auto"``.

    Args:
        label_scheme: ``"auto"``, the path of a JSON file ``{"name": "organ", ...}``, or such a table; None leaves a structure out. Organs
            may be classes of TotalSegmentator.

    Raises:
        ValueError: It is no such table, names no organ, or is a scheme of ids.
    """
    if not isinstance(label_scheme, Mapping):
        if str(label_scheme) == "auto":
            return {}
        if str(label_scheme) in SCHEMES:
            raise ValueError(
                f"label_scheme {label_scheme} is of ids, and structures in DICOM go by their names; leave it out, or give a JSON "
                f"file of name to organ: {EXAMPLE}"
            )
        label_scheme = _from_json(Path(label_scheme))
    table = {str(name): organ for name, organ in label_scheme.items()}
    wrong = sorted({str(o) for o in table.values() if o is not None and o not in ORGANS and o not in ORGAN_OF_CLASS})
    if wrong:
        raise ValueError(
            f"label_scheme names {', '.join(map(repr, wrong))}, which is no organ or TotalSegmentator class; organs are {', '.join(ORGANS)}"
        )
    return {name: organ if organ is None or organ in ORGANS else ORGAN_OF_CLASS[organ] for name, organ in table.items()}


def organs_of_outlines(
    names: Sequence[str], other_names: Sequence[Sequence[str]], scheme: Mapping[str, str | None], *, source: str
) -> list[str | None]:
    """The organ of each structure.

    Args:
        names: As they stand in the file.
        other_names: What else tells what each is; asked where its name says nothing.
        scheme: What the user says, as `scheme_of_names` returns it; stands above all.
        source: What to call the file.

    Returns:
        Names of `planar3d.organs`; None for what is left out.

    Raises:
        ValueError: A name says nothing to planar3d nor to the scheme, or there are more lesions than planar3d tells apart.
    """
    folded = {fold(name): organ for name, organ in scheme.items()}
    organs: list[str | None] = []
    unknown: dict[int, str] = {}
    for index, (name, others) in enumerate(zip(names, other_names, strict=True)):
        if name in scheme or fold(name) in folded:
            organs.append(scheme[name] if name in scheme else folded[fold(name)])
            continue
        organs.append(next((organ for n in (name, *others) if (organ := organ_of(n))), None))
        if organs[-1] is None:
            unknown[index] = name
    unknown = {i: n for i, n in unknown.items() if not _is_both_of(n, organs)}
    if unknown:
        raise ValueError(
            f"{source} holds structures whose names say no organ: {', '.join(repr(n) for n in unknown.values())}; say what they are, or "
            f"null to leave them out, with patient.label_scheme=scheme.json, a file as {EXAMPLE}"
        )
    return _numbered(organs, source)


def _is_both_of(name: str, organs: Sequence[str | None]) -> bool:
    """Whether a structure holds a pair of organs, as Kidneys, of which each is outlined on its own as well."""
    pair = pair_of(name)
    return pair is not None and {f"{pair}_left", f"{pair}_right"} <= set(organs)


def _numbered(organs: list[str | None], source: str) -> list[str | None]:
    """Lesions without a number get those that are free, in their order."""
    free = [lesion for lesion in LESIONS if lesion not in organs]
    if organs.count(LESION) > len(free):
        raise ValueError(
            f"{source} holds {organs.count(LESION)} lesions, of which planar3d tells {len(free)} apart; join some with "
            f'patient.label_scheme=scheme.json, a file as {{"GTV 17": "lesion_16"}}'
        )
    return [free.pop(0) if organ == LESION else organ for organ in organs]


def _from_json(path: Path) -> dict[str, str | None]:
    """Table in a user's file."""
    if not path.is_file():
        raise ValueError(
            f"label_scheme {path} is neither a file nor auto; for structures in DICOM give a JSON file of name to organ: {EXAMPLE}"
        )
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"label_scheme {path} is no JSON file; write name to organ as {EXAMPLE}") from error
    if not isinstance(table, dict) or not all(organ is None or isinstance(organ, str) for organ in table.values()):
        raise ValueError(f"label_scheme {path} is no JSON table of name to organ; write it as {EXAMPLE}")
    return table
