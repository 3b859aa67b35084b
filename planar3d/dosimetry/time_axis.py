"""Times after a named injection time.

Clock times say nothing across midnight, a change of daylight saving time or two hospitals; dates with a time zone do. Elapsed time is the
difference in UTC: two times of one zone with a change between them lie an hour nearer or farther than their clocks say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.units import SECONDS_PER_HOUR

__all__ = ["TimeAxis", "parse_time"]


@dataclass(frozen=True, kw_only=True)
class TimeAxis:
    """When images were taken.

    Attributes:
        injection: Time of injection, with its time zone; None where only elapsed times are known.
        times_s: Time of each image after injection, ascending, ``(time,)`` [s].

    Raises:
        ValueError: A time lies before injection, or times are out of order, or there are none.
    """

    injection: datetime | None = None
    times_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.injection is not None and self.injection.tzinfo is None:
            raise ValueError(f"injection {self.injection.isoformat()} has no time zone; write it with one, as in 2026-03-01T09:00+01:00")
        if not self.times_s:
            raise ValueError("times_s holds no time; give at least one image")
        for i, time in enumerate(self.times_s):
            if not 0 <= time < float("inf"):
                raise ValueError(f"image {i + 1} lies {-time / SECONDS_PER_HOUR:g} h before injection; check both times and their zones")
        for i, (earlier, later) in enumerate(zip(self.times_s, self.times_s[1:], strict=False)):
            if not later > earlier:
                raise ValueError(
                    f"times are out of order: image {i + 2} at {later / SECONDS_PER_HOUR:g} h follows image {i + 1} at "
                    f"{earlier / SECONDS_PER_HOUR:g} h; give images in the order of their times, each time once"
                )

    @classmethod
    def from_hours(cls, hours: Sequence[float]) -> TimeAxis:
        """Times known as hours after injection alone."""
        return cls(times_s=tuple(SECONDS_PER_HOUR * float(h) for h in hours))

    @classmethod
    def from_dates(cls, injection: str | datetime, images: Sequence[str | datetime], *, zone: str | None = None) -> TimeAxis:
        """Times as dates.

        Args:
            injection: ISO 8601 text (``2026-03-01T09:00+01:00``) or datetime.
            images: Of each image, the same.
            zone: IANA name of the zone (``Europe/Berlin``) of times that carry none.

        Raises:
            ValueError: Some times carry a zone and others do not, none do and no zone is named, or a text is no date; and as for the class.
        """
        given = [_read(value) for value in (injection, *images)]
        naive = [time.tzinfo is None for time in given]
        if any(naive) and not all(naive):
            raise ValueError(
                f"{given[naive.index(True)].isoformat()} has no time zone and {given[naive.index(False)].isoformat()} has one; "
                f"write all times with a zone, or none and name the zone"
            )
        known = [_located(time, zone) for time in given]
        elapsed = [(time.astimezone(UTC) - known[0].astimezone(UTC)).total_seconds() for time in known[1:]]
        return cls(injection=known[0], times_s=tuple(elapsed))

    @property
    def hours(self) -> tuple[float, ...]:
        """Time of each image after injection [h]."""
        return tuple(time / SECONDS_PER_HOUR for time in self.times_s)

    def tensor(self, like: Tensor) -> Float[Tensor, " t"]:
        """Times as a tensor on the device and with the type of another [s]."""
        return torch.tensor(self.times_s, dtype=like.dtype, device=like.device)

    def date(self, time_s: float) -> datetime:
        """Date of a time after injection.

        Raises:
            ValueError: The time of injection is not known.
        """
        if self.injection is None:
            raise ValueError("injection is not known, so a time after it has no date; make the axis with from_dates")
        return (self.injection.astimezone(UTC) + timedelta(seconds=time_s)).astimezone(self.injection.tzinfo)


def parse_time(value: str | datetime, *, zone: str | None = None) -> datetime:
    """A time with its zone from ISO 8601 text.

    Args:
        value: As in ``2026-03-01T09:00+01:00``, or without a zone.
        zone: IANA name of the zone of a time that carries none.

    Raises:
        ValueError: It is no date with a time, has no zone and none is named, or the clocks of the zone show it twice or never.
    """
    return _located(_read(value), zone)


def _read(value: str | datetime) -> datetime:
    """A datetime of text."""
    if isinstance(value, datetime):
        return value
    text = value.strip()
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"time {value!r} is no date of ISO 8601; write it as 2026-03-01T09:00+01:00") from None
    if not any(c in text for c in "T :"):
        raise ValueError(f"time {value!r} is a date without a time of day; write it as 2026-03-01T09:00+01:00")
    return time


def _located(time: datetime, zone: str | None) -> datetime:
    """A time with its zone, that of the name where it has none."""
    if time.tzinfo is not None:
        return time
    if zone is None:
        raise ValueError(f"{time.isoformat()} has no time zone; write it as 2026-03-01T09:00+01:00, or name the zone, as in Europe/Berlin")
    try:
        placed = time.replace(tzinfo=ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"zone {zone!r} is not known; give an IANA name, as in Europe/Berlin") from None
    shown = placed.astimezone(UTC).astimezone(placed.tzinfo)
    if shown.replace(tzinfo=None) != time:
        raise ValueError(
            f"{time.isoformat()} never was in {zone}, where clocks went forward over it; check the time, or write it with its offset"
        )
    if placed.utcoffset() != placed.replace(fold=1 - placed.fold).utcoffset():
        raise ValueError(f"{time.isoformat()} was twice in {zone}, where clocks went back; write it with its offset, as in +01:00")
    return placed
