"""Times are elapsed ones, whatever clocks, zones and midnight do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import torch

from planar3d.dosimetry import TimeAxis, parse_time


def test_dates_across_midnight_and_zones() -> None:
    axis = TimeAxis.from_dates("2026-01-30T20:00+01:00", ["2026-01-31T00:00+01:00", "2026-01-31T14:00-05:00", "2026-02-02T19:00:00Z"])
    assert axis.hours == (4.0, 24.0, 72.0)


def test_a_change_of_clocks_is_no_elapsed_time() -> None:
    # clocks went forward on 29 March 2026: nine in the morning is 23 h after nine in the morning
    axis = TimeAxis.from_dates("2026-03-28T09:00", ["2026-03-29T09:00"], zone="Europe/Berlin")
    assert axis.hours == (23.0,)
    assert axis.injection is not None
    assert axis.injection.astimezone(UTC) == datetime(2026, 3, 28, 8, tzinfo=UTC)


def test_named_zone_and_written_offset_agree() -> None:
    named = TimeAxis.from_dates("2026-07-01T09:00", ["2026-07-02T10:30"], zone="Europe/Berlin")
    written = TimeAxis.from_dates("2026-07-01T09:00+02:00", ["2026-07-02T10:30+02:00"])
    assert named.times_s == written.times_s


def test_a_date_goes_there_and_back() -> None:
    images = ["2026-03-28T13:00", "2026-03-29T09:00", "2026-10-25T12:00"]
    axis = TimeAxis.from_dates("2026-03-28T09:00", images, zone="Europe/Berlin")
    assert [axis.date(t) for t in axis.times_s] == [parse_time(i, zone="Europe/Berlin") for i in images]
    assert axis.date(axis.times_s[1]).hour == 9


def test_hours_become_seconds_in_the_type_wanted() -> None:
    times = TimeAxis.from_hours([0.0, 1.5]).tensor(torch.zeros(1, dtype=torch.float64))
    assert times.dtype == torch.float64
    assert times.tolist() == [0.0, 5400.0]


@pytest.mark.parametrize(
    ("injection", "images", "zone", "sentence"),
    [
        ("2026-03-02T09:00Z", ["2026-03-01T13:00Z"], None, "before injection"),
        ("2026-03-01T09:00Z", ["2026-03-02T09:00Z", "2026-03-01T13:00Z"], None, "out of order"),
        ("2026-03-01T09:00Z", ["2026-03-02T09:00Z", "2026-03-02T09:00Z"], None, "out of order"),
        ("2026-03-01T09:00Z", ["2026-03-02T09:00"], "Europe/Berlin", "all times with a zone"),
        ("2026-03-01T09:00", ["2026-03-02T09:00"], None, "no time zone"),
        ("2026-03-01T09:00", ["2026-03-02T09:00"], "Europe/Atlantis", "is not known"),
        ("2026-03-01T09:00", ["2026-03-29T02:30"], "Europe/Berlin", "never was"),
        ("2026-03-01T09:00", ["2026-10-25T02:30"], "Europe/Berlin", "was twice"),
        ("09:00", ["10:00"], "Europe/Berlin", "no date"),
        ("2026-03-01", ["2026-03-02"], "Europe/Berlin", "without a time of day"),
        ("2026-03-01T09:00Z", [], None, "no time"),
    ],
)
def test_bad_times_are_refused_in_one_sentence(injection: str, images: list[str], zone: str | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        TimeAxis.from_dates(injection, images, zone=zone)
    assert "\n" not in str(refused.value)


def test_injection_needs_a_zone_and_a_date_needs_an_injection() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        TimeAxis(injection=datetime(2026, 3, 1), times_s=(1.0,))
    with pytest.raises(ValueError, match="injection is not known"):
        TimeAxis.from_hours([4.0]).date(0.0)
