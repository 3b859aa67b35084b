"""Electrons and photons of each radionuclide from ICRP Publication 107, lines closer than 2 % merged with their energy kept.

    pip install icrp107-database==0.0.3
    python experiments/10_dose_kernels/emissions.py

End points are those of the level schemes: decay energy less level. Writes planar3d/dosimetry/emissions.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import icrp107_database

from planar3d.radionuclide import RADIONUCLIDES

KEV_PER_MEV = 1e3
MERGED_WITHIN = 0.02
NEGLIGIBLE_KEV = 1e-4  # energy per decay

# daughter, and the end point of each transition [keV] in the order of the publication, with its mean there; True where unique forbidden
BETAS = {
    "Lu-177": (72, ((176.5, False), (248.1, True), (384.85, False), (497.8, False))),
    "I-131": (54, ((247.9, False), (303.9, False), (333.8, False), (606.3, False), (629.7, False), (806.9, True))),
    "Y-90": (40, ((519.4, True), (2280.1, True))),
}
NUCLIDES = ("Lu-177", "I-131", "Y-90", "Tc-99m", "In-111", "I-123")


def main() -> None:
    table = {
        "source": "ICRP Publication 107 (2008); gamma lines that planar3d.radionuclide lists have the yields given there",
        "nuclides": {name: of_nuclide(name) for name in NUCLIDES},
    }
    path = Path(__file__).parents[2] / "planar3d" / "dosimetry" / "emissions.json"
    path.write_text(json.dumps(table, indent=1).replace("\n     ", " ").replace("\n    ]", "]") + "\n")
    for name, row in table["nuclides"].items():
        beta = sum(b["mean_kev"] * b["yield"] for b in row["betas"])
        lines, photons = (sum(e * y for e, y in row[kind]) for kind in ("electrons", "photons"))
        print(f"{name}: beta {beta:.1f}, other electrons {lines:.2f}, photons {photons:.1f} keV per decay")
    print(f"wrote {path}")


def of_nuclide(name: str) -> dict:
    """Emissions of one radionuclide."""
    stored = json.loads((Path(icrp107_database.__file__).parent / "icrp107" / f"{name}.json").read_text())
    emitted = (json.loads(stored) if isinstance(stored, str) else stored)["emissions"]
    daughter, end_points = BETAS.get(name, (0, ()))
    means = [b for b in emitted["beta-"] if b[0] * b[1] * KEV_PER_MEV > 1e-3] if end_points else []
    assert len(means) == len(end_points), name
    betas = [
        {"end_point_kev": end, "mean_kev": mean * KEV_PER_MEV, "yield": share, "unique": unique}
        for (end, unique), (mean, share) in zip(end_points, means, strict=True)
    ]
    imaged = {n.name: n.photons for n in RADIONUCLIDES}.get(name, ())
    gammas = [
        (energy, next((p.yield_per_decay for p in imaged if abs(p.energy_kev - energy * KEV_PER_MEV) < 0.2), share))
        for energy, share in emitted["gamma"]
    ]
    return {
        "daughter_z": daughter,
        "mass_number": int("".join(c for c in name if c.isdigit())),
        "betas": betas,
        "electrons": merged(emitted["auger"] + emitted["IE"]),
        "photons": merged(gammas + emitted["X"]),
    }


def merged(lines: list) -> list[list[float]]:
    """Energy [keV] and yield of lines, neighbours added up."""
    kept = sorted((e * KEV_PER_MEV, y) for e, y in lines if e * y * KEV_PER_MEV > NEGLIGIBLE_KEV)
    groups: list[list[float]] = []
    for energy, share in kept:
        if groups and energy < groups[-1][0] * (1.0 + MERGED_WITHIN):
            total = groups[-1][1] + share
            groups[-1] = [(groups[-1][0] * groups[-1][1] + energy * share) / total, total]
        else:
            groups.append([energy, share])
    return [[round(e, 3), float(f"{y:.5g}")] for e, y in groups]


if __name__ == "__main__":
    main()
