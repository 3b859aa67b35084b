"""Wide Gaussians fitted to traced photons, and what is written of them.

Counts in rings about the source at 10, 20 and 30 cm, out to 300 mm, are fitted by

``T [(1 - w_1 - w_2) G(sigma(r)) + w_1 G(a_1 r + b_1) + w_2 G(a_2 r + b_2)]``

with the core's ``sigma(r)`` held at the formula of `planar3d.physics.collimator` and its counts within three of those sigmas, which are
one ring (the shape of the core is not in question here); residuals are weighted as of a Poisson variable. The crystal's own resolution is
left out of both.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import torch
from ray_trace import DISTANCES_MM, IMAGED, OTHER, RADII_MM, Tally
from scipy.optimize import least_squares

from planar3d.physics.camera_head import CameraHead, camera_head
from planar3d.physics.collimator import CollimatorResponse
from planar3d.units import BQ_PER_MBQ

HERE = Path(__file__).parent
TAILS = HERE.parents[1] / "planar3d" / "physics" / "collimator_tails.json"
FITTED = (1, 2, 3)  # rows of DISTANCES_MM
WIDEST_MM = 300.0
SHOWN = (("siemens-melp", "Lu-177", 208.37), ("siemens-he", "I-131", 364.49), ("siemens-lehr", "I-123", 158.97))
CORE_SIGMAS = 3.0
RINGS = 24
LEAST_SHARE = 0.02
LEAST_PART = 0.003
LEAST_COUNTS = 2e-4  # relative to all counts: rings that hold fewer do not steer the fit


def core_of(head: CameraHead, line_kev: float) -> CollimatorResponse:
    """The collimator's part of the core."""
    core = head.collimator.response(line_kev)
    return CollimatorResponse(slope=core.slope, offset_mm=core.offset_mm, intrinsic_mm=0.0)


def fit(head: CameraHead, line_kev: float, tally: Tally) -> dict:
    """Total and tails of one head and line."""
    core = core_of(head, line_kev)
    radii, counts = RADII_MM.double().numpy(), tally.total().double().numpy()
    data, edges = [], []
    for row in FITTED:
        here = float(core.sigma_mm(torch.tensor(DISTANCES_MM[row])))
        kept = np.concatenate([[0.0], np.geomspace(CORE_SIGMAS * here, WIDEST_MM, RINGS)])
        cumulated = np.concatenate([[0.0], counts[row].cumsum()])
        data.append(np.diff(np.interp(kept, radii, cumulated)))
        edges.append(kept)
    scale = sum(d.sum() for d in data) / len(data)
    distances = [DISTANCES_MM[row] for row in FITTED]

    def residuals(parameters: np.ndarray) -> np.ndarray:
        total, (w1, w2), widths = parameters[0], parameters[1:3], parameters[3:]
        parts = []
        for d, e, r in zip(data, edges, distances, strict=True):
            model = w1 * _rings(e, widths[0] * r + widths[1]) + w2 * _rings(e, widths[2] * r + widths[3])
            model[0] += 1.0 - w1 - w2
            parts.append((total * model - d / scale) / np.sqrt(d / scale + LEAST_COUNTS))
        return np.concatenate(parts)

    depth = head.collimator.length_mm + 5.0
    low = [0.9, 0.0, 0.0, 2.0 * core.slope, 0.0, 0.15, 0.0]
    high = [2.0, 0.999, 0.999, 0.3, 40.0, 0.8, 80.0]
    best = None
    for a1, a2 in ((0.08, 0.3), (0.15, 0.6), (max(0.05, 2.5 * core.slope), 0.2)):
        start = np.clip([1.0, 0.05, 0.05, a1, a1 * depth, a2, a2 * depth], np.array(low) + 1e-6, np.array(high) - 1e-6)
        found = least_squares(residuals, start, bounds=(low, high), x_scale=[1.0, 0.1, 0.1, 0.1, 5.0, 0.3, 20.0])
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    total, w1, w2, a1, b1, a2, b2 = (float(p) for p in best.x)
    parts = [(w, a, b) for w, a, b in ((w1, a1, b1), (w2, a2, b2)) if w > LEAST_PART]
    tail = [{"share": round(w, 4), "slope": round(a, 4), "offset_mm": round(b, 2)} for w, a, b in parts]
    return {"cps_per_mbq": total * scale * BQ_PER_MBQ, "tail": tail}


def row_of(head: CameraHead, isotope: str, line_kev: float, tally: Tally, fitted: dict) -> dict:
    """One line of results.csv."""
    inside = RADII_MM[1:] <= WIDEST_MM
    at_20 = {kind: float(rings[2][inside].sum()) for kind, rings in tally.rings.items()}
    seen = sum(at_20.values())
    row: dict = {"head": head.name, "isotope": isotope, "energy_kev": line_kev, "cps_per_mbq_within_300_mm": seen * BQ_PER_MBQ}
    for kind in (k + suffix for suffix in ("", OTHER) for k in ("geometric", "penetration", "scatter")):
        row[f"share_{kind}"] = at_20.get(kind, 0.0) / seen
    middle = 0.5 * (RADII_MM[1:] + RADII_MM[:-1])
    core = core_of(head, line_kev)
    for index in FITTED:
        cm = round(DISTANCES_MM[index] / 10)
        aside = torch.stack([rings[index] for kind, rings in tally.rings.items() if not kind.startswith("geometric")]).sum(dim=0) * inside
        row[f"rms_not_geometric_{cm}_cm"] = float(((aside * middle**2).sum() / aside.sum().clamp(min=1e-30) / 2.0).sqrt())
        formula = float(core.sigma_mm(torch.tensor(DISTANCES_MM[index])))
        near = tally.total()[index] * (RADII_MM[1:] <= CORE_SIGMAS * formula)
        row[f"sigma_core_{cm}_cm"] = float(((near * middle**2).sum() / near.sum() / 2.0).sqrt())
        row[f"sigma_formula_{cm}_cm"] = formula
    row["tail_share"] = sum(t["share"] for t in fitted["tail"])
    row["cps_per_mbq_fitted"] = fitted["cps_per_mbq"]
    row["cps_per_mbq_core_formula"] = head.estimated_sensitivity_cps_per_mbq(isotope, line_kev) * (1.0 - head.response(line_kev).tail_share)
    row["cps_per_mbq_formula_with_tails"] = row["cps_per_mbq_core_formula"] / (1.0 - row["tail_share"])
    return row


def write(tallies: dict[str, dict[tuple[str, float], Tally]]) -> None:
    """results.csv, the tails of the package and the figure."""
    rows, tails, fits = [], {}, {}
    for name, by_line in tallies.items():
        head, known = camera_head(name), []
        for isotope, line_kev in IMAGED:
            tally = by_line[isotope, line_kev]
            fits[name, line_kev] = fit(head, line_kev, tally)
            rows.append(row_of(head, isotope, line_kev, tally, fits[name, line_kev]))
            if rows[-1]["tail_share"] > LEAST_SHARE:
                known.append({"energy_kev": line_kev, "tail": fits[name, line_kev]["tail"]})
        tails[name] = known
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({k: v if isinstance(v, str) else f"{v:.5g}" for k, v in row.items()} for row in rows)
    lines = [
        f'  "{name}": [\n' + ",\n".join(f"    {json.dumps(entry)}" for entry in known) + "\n  ]" if known else f'  "{name}": []'
        for name, known in tails.items()
    ]
    TAILS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    draw(tallies, fits)


def draw(tallies: dict[str, dict[tuple[str, float], Tally]], fits: dict) -> None:
    """Profiles at 20 cm: traced, core alone, core and tails."""
    import matplotlib.pyplot as plt

    shown = [key for key in SHOWN if key[0] in tallies]
    if not shown:
        return
    figure, axes = plt.subplots(1, len(shown), figsize=(4.2 * len(shown), 3.6), layout="constrained", squeeze=False)
    middle, area = 0.5 * (RADII_MM[1:] + RADII_MM[:-1]), torch.pi * (RADII_MM[1:] ** 2 - RADII_MM[:-1] ** 2)
    for axis, (name, isotope, line_kev) in zip(axes[0], shown, strict=True):
        tally, found, head = tallies[name][isotope, line_kev], fits[name, line_kev], camera_head(name)
        sigma = float(core_of(head, line_kev).sigma_mm(torch.tensor(200.0)))
        core = np.exp(-0.5 * (middle / sigma) ** 2) / (2 * np.pi * sigma**2) * (1 - sum(t["share"] for t in found["tail"]))
        wide = sum(t["share"] * _density(middle.numpy(), 200.0 * t["slope"] + t["offset_mm"]) for t in found["tail"])
        axis.semilogy(middle, tally.total()[2] / area * BQ_PER_MBQ, color="0.5", label="traced")
        axis.semilogy(middle, tally.rings["geometric"][2] / area * BQ_PER_MBQ, ":", color="0.5", label="through the holes")
        axis.semilogy(middle, core * found["cps_per_mbq"], "--", color="C0", label="core")
        axis.semilogy(middle, (core + wide) * found["cps_per_mbq"], color="C1", label="core and tails")
        top = float((tally.total()[2] / area).max()) * BQ_PER_MBQ
        axis.set(title=f"{name}, {isotope} {line_kev:.0f} keV", xlabel="radius [mm]", xlim=(0, 250), ylim=(1e-5 * top, 2 * top))
    axes[0, 0].set_ylabel("counts at 20 cm [cps/MBq/mm$^2$]")
    axes[0, 0].legend(frameon=False)
    (HERE / "figures").mkdir(exist_ok=True)
    figure.savefig(HERE / "figures" / "profiles.png", dpi=110)


def _rings(edges: np.ndarray, sigma: float) -> np.ndarray:
    """Share of a two-dimensional Gaussian between radii."""
    return np.diff(-np.expm1(-0.5 * (edges / sigma) ** 2))


def _density(radius: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * (radius / sigma) ** 2) / (2.0 * np.pi * sigma**2)
