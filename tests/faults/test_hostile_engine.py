"""Hundreds of hostile bodies of the long run in `hostile_run`, judged the same way."""

from __future__ import annotations

from tests.faults.engine_process import ground
from tests.faults.hostile_run import run


def test_hostile_bodies_are_refused_kept_and_stand_in_nobodys_way() -> None:
    with ground() as place:
        report = run(place, 600, seed=7, warm_up=200)
    assert not report.faults, report.text()
    assert report.sent == 600
    assert report.good == report.decided == 6
    assert report.settled > 0
