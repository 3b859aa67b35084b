"""Closed contours in a plane of pixels.

A pixel belongs to a set of contours if its centre lies within an odd number of them, so that one within another is a hole, or if a
contour runs through its centre: masks are often written as contours through the centres of their outermost pixels.

Convention: contours are in pixels, whole numbers at centres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["fill_contours"]

ON_CONTOUR = 0.01  # pixels; contours are stored with few decimals


def fill_contours(contours: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Pixels within contours.

    Args:
        contours: Corners of each, ``(n, 2)``; the last is joined with the first.
        shape: Number of pixels along both axes; what lies beyond is cut off.

    Returns:
        Mask of that shape.
    """
    flips = np.zeros((shape[0] + 1, shape[1]), dtype=np.int64)
    touched = np.zeros(shape, dtype=bool)
    for corners in contours:
        start, end = corners, np.roll(corners, -1, axis=0)
        _count_crossings(flips, start, end)
        _touch(touched, start, end)
    return (flips.cumsum(axis=0)[:-1] % 2 == 1) | touched


def _count_crossings(flips: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Count where edges cross lines of pixels along the first axis: there inside becomes outside, or outside inside."""
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    edge, line = _lines(np.ceil(low), np.ceil(high), flips.shape[1])  # half open: a corner belongs to one of its edges
    crossing = _at(start[edge], end[edge], line)
    np.add.at(flips, (np.clip(np.ceil(crossing), 0, flips.shape[0] - 1).astype(int), line), 1)


def _touch(touched: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Mark pixels through whose centre an edge runs."""
    low, high = np.minimum(start, end) - ON_CONTOUR, np.maximum(start, end) + ON_CONTOUR
    edge, line = _lines(np.ceil(low[:, 1]), np.floor(high[:, 1]) + 1, touched.shape[1])
    level = np.abs(start[edge, 1] - end[edge, 1]) < 2 * ON_CONTOUR
    crossing = _at(start[edge], end[edge], line)
    pixel = np.rint(crossing)
    hit = ~level & (np.abs(crossing - pixel) < ON_CONTOUR) & (pixel >= 0) & (pixel < touched.shape[0])
    touched[pixel[hit].astype(int), line[hit]] = True
    for e, j in zip(edge[level], line[level], strict=True):
        touched[max(0, int(np.ceil(low[e, 0]))) : max(0, int(np.floor(high[e, 0])) + 1), j] = True


def _lines(first: np.ndarray, stop: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges and the lines of pixels that each reaches, paired, from the first of each to before its stop."""
    first, stop = (np.clip(v, 0, count).astype(int) for v in (first, stop))
    reached = np.maximum(stop - first, 0)
    edge = np.repeat(np.arange(len(first)), reached)
    return edge, first[edge] + np.arange(len(edge)) - np.repeat(reached.cumsum() - reached, reached)


def _at(start: np.ndarray, end: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Where edges are along the first axis as they cross lines; for level ones anywhere on them."""
    rise = end[:, 1] - start[:, 1]
    part = np.divide(line - start[:, 1], rise, out=np.zeros(len(line)), where=rise != 0)
    return start[:, 0] + np.clip(part, 0.0, 1.0) * (end[:, 0] - start[:, 0])
