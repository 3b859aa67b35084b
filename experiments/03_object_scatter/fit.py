"""The library's object scatter, fitted to the Monte Carlo in results.csv.

For each unscattered photon of the imaged line that the peak window counts, a window counts ``primary`` unscattered ones and, of a source
under d mm of water,

    R(d) = r_0 + d (r_1 + r_2 d + r_3 d^2),   share G(s_n(d)^2) + (1 - share) G(s_w(d)^2),   s(d) = a_0 + a_1 d + a_2 d^2

scattered ones, spread by G, isotropic Gaussians of standard deviation s [mm] per axis: for the imaged line and, apart, for the lines
above it (``downscatter``). R and the lateral rms per axis, ``sqrt((<dx^2> + <dz^2>) / 2)``, are fitted by relative least squares to
points in both ellipses, R to the uniform ellipses as well; r_0 only where photons that turned by a right angle or more are counted. Both
widths are that rms times a constant each: with the share, they follow the radial distribution and keep the second moment.

    python experiments/03_object_scatter/fit.py      # writes planar3d/physics/object_scatter.json and figures/fit.png, prints the checks
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from monte_carlo import ELECTRON_KEV, ENTRIES, HERE, RADII_MM, SOURCES, accepted, windows_of
from scipy.optimize import least_squares

from planar3d.materials import linear_attenuation

TABLE = HERE.parents[1] / "planar3d" / "physics" / "object_scatter.json"
SOURCE = (
    "experiments/03_object_scatter: python experiments/03_object_scatter/monte_carlo.py && python experiments/03_object_scatter/fit.py; "
    "its README states the model; errors are the largest deviations of the fit from the Monte Carlo at depths of 20 mm and more"
)
DEEPEST_MM = 300.0
SHALLOWEST_MM = 20.0  # errors are stated from here on: nearer to the surface there is little scatter
RADII = np.array(RADII_MM)
REPEATS = 4  # a uniform ellipse counts as much as so many points
SMALL, LARGE = 100.0, 150.0  # semi-axes y of both ellipses [mm]


@dataclass(frozen=True, kw_only=True)
class Points:
    """Monte Carlo of one window and one or several lines; arrays ``(source,)``, ``within`` is ``(source, radius)``, depth 0 is uniform."""

    semi_y_mm: np.ndarray
    depth_mm: np.ndarray
    primary: np.ndarray
    ratio: np.ndarray
    ratio_ideal: np.ndarray
    rms_x_mm: np.ndarray
    rms_z_mm: np.ndarray
    within: np.ndarray

    @property
    def rms_mm(self) -> np.ndarray:
        return np.sqrt((self.rms_x_mm**2 + self.rms_z_mm**2) / 2.0)


def read(entry: str, window: str, *, above: bool, uniform: bool = False) -> Points | None:
    """Points of the imaged line, or of the lines above it; None where there are none."""
    sources: dict[tuple[float, float], list[dict[str, str]]] = defaultdict(list)
    with (HERE / "results.csv").open() as file:
        for row in csv.DictReader(file):
            wanted = (float(row["line_kev"]) != next(iter(ENTRIES[entry]))) == above and (row["depth_mm"] == "uniform") == uniform
            if wanted and (row["entry"], row["window"]) == (entry, window):
                sources[float(row["semi_y_mm"]), 0.0 if uniform else float(row["depth_mm"])].append(row)
    if not sources:
        return None

    def total(key: str) -> np.ndarray:
        return np.array([sum(float(row[key]) for row in rows) for rows in sources.values()])

    def mean(key: str, power: int = 1) -> np.ndarray:
        sums = np.array([sum(float(row["ratio"]) * float(row[key]) ** power for row in rows) for rows in sources.values()])
        return (sums / total("ratio")) ** (1.0 / power)

    semi_y_mm, depth_mm = np.array(list(sources)).T
    totals = {key: total(key) for key in ("primary", "ratio", "ratio_ideal")}
    within = np.stack([mean(f"within_{r:g}_mm") for r in RADII_MM], axis=1)
    rms = {key: mean(key, power=2) for key in ("rms_x_mm", "rms_z_mm")}
    return Points(semi_y_mm=semi_y_mm, depth_mm=depth_mm, within=within, **totals, **rms)


def polynomial(rows: np.ndarray, value: np.ndarray, *, constant: bool) -> np.ndarray:
    """Coefficients from the constant up, by relative least squares; ``rows`` holds the powers of the depth, ``(source, power)``."""
    first = 0 if constant else 1
    fitted, *_ = np.linalg.lstsq(rows[:, first:] / value[:, None], np.ones_like(value), rcond=None)
    return np.concatenate((np.zeros(first), fitted))


def at(coefficients: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
    return np.polynomial.polynomial.polyval(depth_mm, coefficients)


def mixture(share: float, narrow_mm: np.ndarray, wide_mm: np.ndarray, radius_mm: np.ndarray = RADII) -> np.ndarray:
    """Share of the scattered photons within each radius, for widths ``(depth,)``: ``(depth, radius)``."""
    narrow, wide = (-np.expm1(-0.5 * (radius_mm / sigma[:, None]) ** 2) for sigma in (narrow_mm, wide_mm))
    return share * narrow + (1.0 - share) * wide


def turns_back(entry: str, window: str, *, above: bool) -> bool:
    """Whether the window counts photons of the lines after a right angle or more."""
    lines = torch.tensor([e for e in ENTRIES[entry] if (e != next(iter(ENTRIES[entry]))) == above])
    seen_kev = lines / (1.0 + lines / ELECTRON_KEV * (1.0 - torch.linspace(-1.0, 0.0, 21)[:, None]))
    return bool((accepted(seen_kev, windows_of(entry)[window]) > 0.01).any())


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Coefficients of ``R`` and of the rms, and the shape: share of the narrow Gaussian, both widths relative to the rms."""

    ratio: np.ndarray
    rms: np.ndarray
    share: float
    narrow: float
    wide: float
    errors: dict[str, float]

    def to_json(self) -> dict[str, object]:
        """The keys of the table."""
        rounded = lambda values: [float(f"{v:.4g}") for v in values]  # noqa: E731
        return {
            "ratio_at_surface": rounded(self.ratio[:1])[0],
            "ratio_per_mm": rounded(self.ratio[1:]),
            "narrow_share": rounded([self.share])[0],
            "sigma_at_surface_mm": rounded([self.narrow * self.rms[0], self.wide * self.rms[0]]),
            "sigma_narrow": rounded(self.narrow * self.rms[1:]),
            "sigma_wide": rounded(self.wide * self.rms[1:]),
            **{name: float(f"{error:.2g}") for name, error in self.errors.items()},
        }


def depths(line_kev: float, semi_mm: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Depths [mm] of a uniform ellipse along the view, and the weight of each in the unscattered image."""
    x, y = np.meshgrid(*(np.linspace(-s, s, 401) for s in semi_mm), indexing="ij")
    front = semi_mm[1] * np.sqrt((1.0 - (x / semi_mm[0]) ** 2).clip(0.0))
    depth = (front - y)[np.abs(y) < front]
    weight = np.exp(-linear_attenuation("water", line_kev) * depth)
    return depth, weight / weight.sum()


def fit(entry: str, window: str, *, above: bool) -> Kernel:
    """Kernel of one window and the imaged line, or the lines above it."""
    points, uniform, back = (
        read(entry, window, above=above),
        read(entry, window, above=above, uniform=True),
        turns_back(entry, window, above=above),
    )
    deep = points.depth_mm >= SHALLOWEST_MM
    depth, within = points.depth_mm[deep], points.within[deep]
    powers = np.arange(4)
    means = [(weight[:, None] * d[:, None] ** powers).sum(0) for d, weight in (depths(next(iter(ENTRIES[entry])), s) for s in SOURCES)]
    rows, values = np.vstack((points.depth_mm[:, None] ** powers, *[means] * REPEATS)), (points.ratio, *[uniform.ratio] * REPEATS)
    ratio = polynomial(rows, np.concatenate(values), constant=back)
    rms = polynomial(points.depth_mm[:, None] ** powers[:3], points.rms_mm, constant=True)
    rms[0] = max(rms[0], 0.0)

    def shape_of(parameters: np.ndarray) -> tuple[float, float, float]:
        share, narrow = (float(p) for p in parameters)
        return share, narrow, ((1.0 - share * narrow**2) / (1.0 - share)) ** 0.5

    def misfit(parameters: np.ndarray) -> np.ndarray:
        share, narrow, wide = shape_of(parameters)
        return (mixture(share, narrow * at(rms, depth), wide * at(rms, depth)) - within).ravel()

    best = least_squares(misfit, (0.4, 0.5), bounds=((0.02, 0.1), (0.95, 1.0))).x
    everywhere = np.arange(1.0, DEEPEST_MM + 1.0)
    if at(ratio, everywhere).min() <= 0.0 or np.diff(at(ratio, everywhere)).min() <= 0.0 or at(rms, everywhere).min() <= 0.0:
        raise ValueError(f"the fit has to be positive and R has to grow down to {DEEPEST_MM:g} mm, got R {ratio} and rms {rms}")
    errors = {"error_ratio": at(ratio, depth) / points.ratio[deep] - 1.0, "error_rms": at(rms, depth) / points.rms_mm[deep] - 1.0}
    errors["error_within"] = misfit(best)
    share, narrow, wide = shape_of(best)
    return Kernel(
        ratio=ratio, rms=rms, share=share, narrow=narrow, wide=wide, errors={k: float(np.abs(e).max()) for k, e in errors.items()}
    )


def triple_window(entry: str, *, depth_mm: float, ratio: str) -> float:
    """Scatter that a triple energy window finds, over the true one, all lines."""
    counted: dict[str, float] = {}
    for window in windows_of(entry):
        for above in (False, True):
            points = read(entry, window, above=above, uniform=depth_mm == 0.0)
            for key in ("primary", ratio) if points else ():
                (value,) = getattr(points, key)[(points.semi_y_mm == SMALL) & (points.depth_mm == depth_mm)]
                counted[f"{window} {key}"] = counted.get(f"{window} {key}", 0.0) + value
    sides = ((counted[f"{w} primary"] + counted[f"{w} {ratio}"]) / edges.width_kev for w, edges in windows_of(entry).items() if w != "peak")
    return sum(sides) * windows_of(entry)["peak"].width_kev / 2.0 / counted[f"peak {ratio}"]


def checks(kernels: dict[tuple[str, str, bool], Kernel]) -> None:
    """Print Monte Carlo and kernel for points and the uniform ellipse of 300 x 200 mm, and the triple energy window."""
    heads = ("peak window", "source", "R, equal efficiency", "R", "R, kernel", "rms x / z [mm]", "rms, kernel [mm]")
    print("|", " | ".join((*heads, "TEW / true, equal efficiency", "TEW / true")), "|\n" + "|---" * 9 + "|")
    for (entry, window, above), kernel in kernels.items():
        for depth in (50.0, 100.0, 150.0, 0.0) if window == "peak" else ():
            points = read(entry, window, above=above, uniform=depth == 0.0)
            (i,) = np.flatnonzero((points.semi_y_mm == SMALL) & (points.depth_mm == depth))
            d, weight = (np.array([depth]), np.ones(1)) if depth else depths(next(iter(ENTRIES[entry])), (150.0, SMALL))
            ratio = (weight * at(kernel.ratio, d)).sum()
            rms = np.sqrt((weight * at(kernel.ratio, d) * at(kernel.rms, d) ** 2).sum() / ratio)
            triple = " | ".join("" if above else f"{triple_window(entry, depth_mm=depth, ratio=r):.2f}" for r in ("ratio_ideal", "ratio"))
            name, source = entry + ", lines above" * above, f"{depth:g} mm" if depth else "uniform"
            print(
                f"| {name} | {source} | {points.ratio_ideal[i]:.3f} | {points.ratio[i]:.3f} | {ratio:.3f} "
                f"| {points.rms_x_mm[i]:.1f} / {points.rms_z_mm[i]:.1f} | {rms:.1f} | {triple} |"
            )


def draw(kernels: dict[tuple[str, str, bool], Kernel]) -> None:
    """figures/fit.png."""
    figure, axes = plt.subplots(1, 3, figsize=(15.0, 4.6), layout="constrained")
    depth = np.linspace(1.0, DEEPEST_MM, 300)
    shown = [(e, False) for e in ("Lu-177/208", "Tc-99m/140", "I-131/364", "I-123/159")] + [("In-111/171", True)]
    for colour, (entry, above) in zip(("C0", "C1", "C2", "C3", "C4"), shown, strict=True):
        points, kernel = read(entry, "peak", above=above), kernels[entry, "peak", above]
        for axis, value, line in ((axes[0], points.ratio, kernel.ratio), (axes[1], points.rms_mm, kernel.rms)):
            axis.plot(depth, at(line, depth), color=colour, label=entry + (", from 245 keV" if above else ""))
            for semi, marker in ((SMALL, "o"), (LARGE, "s")):
                axis.plot(
                    points.depth_mm[points.semi_y_mm == semi], value[points.semi_y_mm == semi], marker, color=colour, fillstyle="none"
                )
    points, kernel = read("Lu-177/208", "peak", above=False), kernels["Lu-177/208", "peak", False]
    for colour, deep in zip(("C0", "C1", "C2"), (50.0, 100.0, 150.0), strict=True):
        (i,) = np.flatnonzero((points.depth_mm == deep) & (points.semi_y_mm == SMALL))
        axes[2].plot(RADII, points.within[i], "o", color=colour, fillstyle="none")
        radius = np.linspace(0.5, 160.0, 300)
        rms = at(kernel.rms, np.array([deep]))
        inside = mixture(kernel.share, kernel.narrow * rms, kernel.wide * rms, radius)[0]
        axes[2].plot(radius, inside, color=colour, label=f"{deep:g} mm deep")
    axes[0].set(xlabel="depth [mm]", ylabel="scattered per unscattered photon", title="300 x 200 (o) and 400 x 300 mm")
    axes[1].set(xlabel="depth [mm]", ylabel="lateral rms per axis [mm]")
    axes[2].set(xlabel="radius [mm]", ylabel="share of the scattered photons within", title="Lu-177/208, peak", xlim=(0.0, 160.0))
    axes[0].legend()
    axes[2].legend()
    (HERE / "figures").mkdir(exist_ok=True)
    figure.savefig(HERE / "figures" / "fit.png", dpi=110)


def main() -> None:
    """Fit every window, write the table and the figure, print the checks."""
    kernels: dict[tuple[str, str, bool], Kernel] = {}
    lines = [f'"_source": {json.dumps(SOURCE)}']
    for entry in ENTRIES:
        windows = []
        for window, edges in windows_of(entry).items():
            record: dict[str, object] = {"window_kev": [round(edges.low_kev, 2), round(edges.high_kev, 2)], "primary": 0.0}
            for above in (False, True):
                points = read(entry, window, above=above)
                if points is None:
                    continue
                kernel = kernels[entry, window, above] = fit(entry, window, above=above)
                record |= {"downscatter": kernel.to_json()} if above else kernel.to_json()
                record["primary"] += points.primary[(points.depth_mm == 100.0) & (points.semi_y_mm == SMALL)].item()
            record["primary"] = float(f"{record['primary']:.4g}")
            windows.append(f'    "{window}": {json.dumps(record)}')
        lines.append(f'"{entry}": {{\n' + ",\n".join(windows) + "\n  }")
    TABLE.write_text("{\n  " + ",\n  ".join(lines) + "\n}\n")
    draw(kernels)
    checks(kernels)
    print(f"wrote {TABLE.name} and figures/fit.png")


if __name__ == "__main__":
    main()
