"""The spool's files on a real disk: what was written is there after any end, room given back, and full disks."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.errors import EngineRunning, SpoolDamaged, SpoolFull
from storage.frames import Place
from storage.rows import NOTHING, Entry, Row, Tail
from storage.spool import Spool, left_in
from tests.storage.test_frames import entries


class Filled:
    """A spool and the chain that goes into it."""

    def __init__(self, folder: Path, **options: int) -> None:
        self.spool = Spool(folder, **options)
        self.tail = Tail(NOTHING)
        self.written: list[Row] = []
        self.spool.open()

    def write(self, *sizes: int, reason: str = "") -> None:
        """One group of appends; nothing of it is in the chain when the spool does not take it."""
        before = Place(self.tail.seq, self.tail.hash)
        group = entries(self.tail, *sizes, reason=reason)
        try:
            self.spool.write(group, before)
        except BaseException:
            self.tail.seq, self.tail.hash = before
            raise
        self.written += rows_of(group)


def rows_of(group: list[Entry]) -> list[Row]:
    return [row for entry in group for row in entry.rows]


def rows_in(spool: Spool) -> list[Row]:
    found: list[Row] = []
    begin = spool.begin
    after = begin.seq if begin is not None else 0
    while kept := spool.read(after):
        found += [row for one in kept for row in one.rows]
        after = found[-1].seq
    return found


def rows_of_file(spool: Spool) -> list[Row]:
    """Of the first file."""
    return [row for one in spool.read(0, 1 << 30) for row in one.rows]


def reopened(filled: Filled) -> Spool:
    filled.spool.close()
    spool = Spool(filled.spool.folder)
    spool.open()
    return spool


def files(spool: Spool) -> list[Path]:
    return sorted(spool.folder.glob("*.spool"))


def test_what_was_written_is_there_after_a_restart_in_order(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool", segment=2000)
    for size in range(1, 12):
        filled.write(size, 1)
    assert len(files(filled.spool)) > 3
    assert rows_in(filled.spool) == filled.written
    again = reopened(filled)
    assert again.begin == Place(0, bytes(32))
    assert again.end == Place(filled.tail.seq, filled.tail.hash)
    assert rows_in(again) == filled.written
    again.close()


def test_a_reopened_spool_goes_on_in_a_file_of_its_own(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    filled.write(3)
    first = files(filled.spool)[0].read_bytes()
    filled.spool = reopened(filled)
    filled.write(2)
    assert [len(files(filled.spool)), files(filled.spool)[0].read_bytes()] == [2, first]
    assert rows_in(reopened(filled)) == filled.written


def test_an_empty_spool_leaves_no_files(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    assert (filled.spool.begin, filled.spool.end, filled.spool.size, filled.spool.read(0)) == (None, None, 0, [])
    filled.write(2)
    filled.spool.clear()
    assert files(filled.spool) == []
    assert filled.spool.end is None
    filled.write(2)  # it may be used again, wherever the chain is by then
    assert filled.spool.begin == Place(2, filled.written[1].hash)
    filled.spool.close()


def test_files_are_given_back_once_the_database_has_them(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool", segment=1500)
    for _ in range(10):
        filled.write(3)
    many = len(files(filled.spool))
    filled.spool.release(16)
    left = files(filled.spool)
    assert 1 < len(left) < many
    assert filled.spool.begin is not None
    assert filled.spool.begin.seq <= 16
    assert rows_in(filled.spool)[-1] == filled.written[-1]
    filled.spool.release(30)
    assert len(files(filled.spool)) == 1, "the file that is written to stays"
    assert rows_in(reopened(filled))[-1] == filled.written[-1]


def test_reading_begins_with_the_frame_that_holds_the_next_fact(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool", segment=1500)
    for _ in range(6):
        filled.write(2, 1)
    for after in range(18):
        found = [row for one in filled.spool.read(after) for row in one.rows]
        assert found[0].seq <= after + 1 <= found[-1].seq
    assert filled.spool.read(18) == []
    # As many frames of a file at once as it takes.
    first, second, *_ = [[row.seq for one in filled.spool.read(after, 7) for row in one.rows] for after in (0, 3)]
    assert first == list(range(1, first[-1] + 1))
    assert len(first) == min(9, len(rows_of_file(filled.spool)))
    assert second[0] == 4


def test_what_does_not_follow_is_refused(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    filled.write(2)
    filled.tail.seq += 1
    with pytest.raises(ValueError, match="what follows fact 3 cannot be spooled after fact 2"):
        filled.write(1)


@pytest.mark.parametrize("cut", [1, 40, 101, 300])
def test_a_torn_end_is_cut_off_and_what_was_whole_stays(tmp_path: Path, cut: int) -> None:
    filled = Filled(tmp_path / "spool")
    filled.write(2)
    filled.write(3)
    whole = files(filled.spool)[0].stat().st_size
    filled.write(4)
    filled.spool.close()
    path = files(filled.spool)[0]
    path.write_bytes(path.read_bytes()[: whole + cut])
    again = reopened(filled)
    assert again.torn == cut
    assert rows_in(again) == filled.written[:5]
    assert path.stat().st_size == whole
    again.close()


def test_a_file_with_nothing_whole_in_it_goes(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    filled.write(2)
    path = files(filled.spool)[0]
    path.write_bytes(path.read_bytes()[:50])
    again = reopened(filled)
    assert (again.end, files(again)) == (None, [])


def test_damage_ends_the_start_loudly_and_changes_nothing(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool", segment=1000)
    for _ in range(8):
        filled.write(3)
    filled.spool.close()
    path = files(filled.spool)[1]
    sound = path.read_bytes()
    damaged = bytearray(sound)
    damaged[200] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(
        SpoolDamaged, match=r"000002\.spool: the spool at byte 0 was changed after it was written \(sound up"
    ):
        Spool(filled.spool.folder).open()
    assert path.read_bytes() == damaged
    path.unlink()
    with pytest.raises(SpoolDamaged, match="goes on after fact"):
        Spool(filled.spool.folder).open()
    path.write_bytes(sound)
    assert rows_in(reopened(filled)) == filled.written


def test_a_file_that_changes_while_it_is_used_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    filled.write(3)
    path = files(filled.spool)[0]
    damaged = bytearray(path.read_bytes())
    damaged[150] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(SpoolDamaged, match="not what was written"):
        filled.spool.read(0)
    path.write_bytes(damaged[:100])
    with pytest.raises(SpoolDamaged):
        filled.spool.read(0)


def test_two_engines_do_not_share_a_spool(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    with pytest.raises(EngineRunning, match="already running on this home"):
        Spool(filled.spool.folder).open()
    reopened(filled).close()


def test_what_is_left_in_a_spool_is_told_without_touching_it(tmp_path: Path) -> None:
    assert left_in(tmp_path / "spool") is None
    filled = Filled(tmp_path / "spool", segment=500)
    assert left_in(filled.spool.folder) is None
    for _ in range(3):
        filled.write(2, 3)
    begin, end = filled.spool.begin, filled.spool.end
    last = files(filled.spool)[-1]
    filled.spool.close()
    with last.open("ab") as file:
        file.write(b"SDS1 torn")
    before = {path: path.read_bytes() for path in files(filled.spool)}
    left = left_in(filled.spool.folder)
    assert left is not None
    assert (left.before, left.after, left.facts) == (begin, end, 15)
    assert {path: path.read_bytes() for path in files(filled.spool)} == before


def test_a_damaged_spool_is_said_to_be_one_unless_an_engine_is_at_work_in_it(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool", segment=500)
    for _ in range(3):
        filled.write(2, 3)
    first = files(filled.spool)[0]
    first.write_bytes(first.read_bytes()[:-7])
    assert left_in(filled.spool.folder) is None
    filled.spool.close()
    with pytest.raises(SpoolDamaged, match="was cut off"):
        left_in(filled.spool.folder)


# --- no room ------------------------------------------------------------------------------------------------------------


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to a file, by the kernel itself: a write past `size` is cut short, then refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_takes_nothing_in_part_and_loses_nothing(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    filled.write(3)
    durable = files(filled.spool)[0].stat().st_size
    with files_no_larger_than(durable + 500):
        for _ in range(2):
            with pytest.raises(SpoolFull, match="no room left on the disk"):
                filled.write(20)
            assert files(filled.spool)[0].stat().st_size == durable
        assert rows_in(filled.spool) == filled.written
    filled.write(20)
    assert rows_in(reopened(filled)) == filled.written


@contextmanager
def no_more_files() -> Iterator[None]:
    """No file and no socket can be opened any more, by the kernel itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_out_of_file_handles_nothing_is_called_damaged(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool")
    filled.write(3)
    with no_more_files(), pytest.raises(OSError, match="Too many open files"):
        filled.spool.read(0)
    assert rows_in(filled.spool) == filled.written


def test_a_spool_takes_no_more_than_it_may(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool", limit=3000, segment=1000)
    while filled.spool.size < 2400:
        filled.write(2)
    with pytest.raises(SpoolFull, match="reached its limit"):
        filled.write(2, 2)
    assert filled.spool.size <= 3000
    filled.spool.release(filled.tail.seq)
    filled.write(2)
    assert rows_in(filled.spool)[-1] == filled.written[-1]
    filled.spool.close()


def test_a_folder_that_is_gone_is_an_error_and_not_a_loss(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "spool", segment=1)
    filled.write(1)
    moved = filled.spool.folder.rename(tmp_path / "moved")
    with pytest.raises(OSError, match="No such file"):
        filled.write(1)
    moved.rename(filled.spool.folder)
    filled.write(1)
    assert rows_in(reopened(filled)) == filled.written


# --- killed -------------------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from tests.storage.test_spool import Filled
filled = Filled(Path(sys.argv[1]), segment=4000)
while True:
    filled.write(3, 1)
    os.write(1, f"{filled.tail.seq}\\n".encode())
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 60])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, acknowledged: int) -> None:
    folder = tmp_path / "spool"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(acknowledged)]
        process.kill()
        said += [int(line) for line in process.stdout if line.endswith("\n")]
    spool = Spool(folder)
    spool.open()
    assert spool.end is not None
    assert spool.end.seq in (said[-1], said[-1] + 4)
    assert [row.seq for row in rows_in(spool)] == list(range(1, spool.end.seq + 1))
    spool.close()
