"""The spool: appends on the local disk while the database is slow or away. Written by `overflow`, one thread at a time.

A folder of files to which frames are only added; what it took is fsynced before `write` returns. Files go when the
database has what is in them. It never acknowledges what may still be lost, never reorders, and never mends: a torn
frame at the end was never acknowledged and is cut off, any other fault ends the start with `SpoolDamaged`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from storage.errors import EngineRunning, SpoolDamaged, SpoolFull
from storage.frames import Damage, Frame, Kept, Place, decode, encode, scan
from storage.rows import Entry

LIMIT = 1 << 30
SEGMENT = 16 << 20
"""Bytes after which the next file is begun: so much is given back at a time."""
_FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_NOT_NOW = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})
"""Why a file cannot be read at the moment, which says nothing about what is in it."""


class Segment:
    """One file, its frames in order."""

    def __init__(self, path: Path, frames: list[Frame], size: int) -> None:
        self.path = path
        self.frames = frames
        self.size = size


class Spool:
    """Made without touching the disk; `open` it. `limit`: bytes it may take; `segment`: bytes a file is filled to."""

    def __init__(self, folder: Path, *, limit: int = LIMIT, segment: int = SEGMENT) -> None:
        self.folder = folder
        self.torn = 0
        """Bytes of a torn frame that were cut off when it was opened."""
        self._limit, self._segment_size = limit, segment
        self._segments: list[Segment] = []
        self._file: int | None = None
        self._lock: int | None = None
        self._number = 0
        self._broken = ""

    @property
    def begin(self) -> Place | None:
        """What the first append in it follows; None while it is empty."""
        return next((segment.frames[0].before for segment in self._segments if segment.frames), None)

    @property
    def end(self) -> Place | None:
        """The end of the chain in it; None while it is empty."""
        for segment in reversed(self._segments):
            if segment.frames:
                return segment.frames[-1].after
        return None

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self._segments)

    def open(self) -> None:
        """Find what an earlier run left. Raises `SpoolDamaged`, `EngineRunning` when another engine uses the folder,
        `OSError` when it cannot be used."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise EngineRunning(f"{self.folder}: Strikedesk is already running on this home") from None
        try:
            self._find()
        except BaseException:
            self.close()
            raise

    def _find(self) -> None:
        files = sorted(self.folder.glob("*.spool"))
        for path, frames, size, torn in _scanned(files):
            if torn:
                self.torn = torn
                _cut(path, size)
            if frames:
                self._segments.append(Segment(path, frames, size))
            else:
                path.unlink()
        self._number = max((int(path.stem) for path in files if path.stem.isdigit()), default=0)

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, entries: Sequence[Entry], before: Place) -> None:
        """Make these appends durable; they follow `before`. Nothing of them is kept when it raises.

        Raises `SpoolFull` when the disk, a quota or the spool's own limit leaves no room, `OSError` for a disk that fails.
        """
        if self._broken:
            raise OSError(self._broken)
        end = self.end
        if end is not None and end != before:
            raise ValueError(f"what follows fact {before.seq} cannot be spooled after fact {end.seq}")
        segment = self._writable()
        data, frame = encode(entries, before, segment.size)
        if self.size + len(data) > self._limit:
            raise SpoolFull(f"{self.folder}: the spool has reached its limit of {self._limit >> 20} MB")
        assert self._file is not None
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            sync(self._file)
        except OSError as error:
            self._take_back(segment)
            if error.errno in _FULL:
                raise SpoolFull(f"{segment.path}: no room left on the disk ({error.strerror})") from error
            raise
        segment.frames.append(frame)
        segment.size = frame.end

    def _writable(self) -> Segment:
        """The file to add to, opened; a new one where there is none or it is full."""
        if self._file is not None and self._segments[-1].size < self._segment_size:
            return self._segments[-1]
        self._seal()
        self._number += 1  # never the name of a file that may be there
        path = self.folder / f"{self._number:010}.spool"
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            sync_folder(self.folder)
        except OSError as error:
            self._seal()
            with contextlib.suppress(OSError):  # an empty file does no harm
                path.unlink(missing_ok=True)
            if error.errno in _FULL:
                raise SpoolFull(f"{path}: no room left on the disk ({error.strerror})") from error
            raise
        self._segments.append(Segment(path, [], 0))
        return self._segments[-1]

    def _take_back(self, segment: Segment) -> None:
        """Part of a frame may be in the file: it goes again, or nothing is added after it."""
        assert self._file is not None
        try:
            os.ftruncate(self._file, segment.size)
        except OSError as error:
            self._broken = f"{segment.path}: the spool cannot be written any more ({error.strerror})"

    def _seal(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    # --- reading and giving back ------------------------------------------------------------------------------------

    def read(self, after: int, facts: int = 1) -> list[Kept]:
        """The appends of the frame in which the fact after `after` is, and of the next ones of its file until so many
        `facts` were read; none where that fact is not in the spool.

        The first of them may lie at or before `after`. Raises `SpoolDamaged` when the file is not what was written, `OSError`
        when it cannot be read now, for want of file handles or memory.
        """
        for segment in self._segments:
            if not segment.frames or segment.frames[-1].after.seq <= after:
                continue
            first = bisect_right(segment.frames, after, key=lambda one: one.after.seq)
            last = bisect_right(segment.frames, after + facts - 1, key=lambda one: one.after.seq)
            return _read(segment.path, segment.frames[first : last + 1])
        return []

    def release(self, seq: int) -> None:
        """The database has every fact up to `seq`: files that hold nothing later go, but the one that is written to."""
        while len(self._segments) > 1 and self._segments[0].frames[-1].after.seq <= seq:
            self._segments[0].path.unlink(missing_ok=True)
            del self._segments[0]

    def clear(self) -> None:
        """The database has it all: every file goes."""
        self._seal()
        while self._segments:
            self._segments[0].path.unlink(missing_ok=True)
            del self._segments[0]
        self.folder.mkdir(exist_ok=True, mode=0o700)
        sync_folder(self.folder)
        self._broken = ""

    def close(self) -> None:
        """Let go of the files. What is in them stays for the next start."""
        self._seal()
        self._segments.clear()
        if self._lock is not None:
            lock, self._lock = self._lock, None
            os.close(lock)


def _scanned(files: Sequence[Path]) -> Iterator[tuple[Path, list[Frame], int, int]]:
    """Of each file its whole frames, the bytes they take, and how many torn ones follow. Raises `SpoolDamaged`."""
    end: Place | None = None
    for path in files:
        data = path.read_bytes()
        try:
            frames, size = scan(data, last=path == files[-1])
            if frames and end is not None and frames[0].before != end:
                raise Damage(0, f"goes on after fact {frames[0].before.seq}, not after fact {end.seq}")
        except Damage as damage:
            sound = f"sound up to fact {end.seq}" if end is not None else "nothing before it"
            raise SpoolDamaged(
                f"{path}: the spool at byte {damage.offset} {damage} ({sound}). Nothing was changed. Bring the file back "
                "from a copy; or move the folder away, and the facts in it that the database does not have are given up"
            ) from damage
        yield path, frames, size, len(data) - size
        end = frames[-1].after if frames else end


class Left(NamedTuple):
    """What is in a spool: the facts behind `before`, up to `after`."""

    before: Place
    after: Place

    @property
    def facts(self) -> int:
        return self.after.seq - self.before.seq


def left_in(folder: Path) -> Left | None:
    """What a spool holds, looked at from outside; None for an empty one. Nothing is touched, also not an engine at work.

    Raises `SpoolDamaged`, `OSError` when it cannot be read.
    """
    frames: list[Frame] = []
    try:
        for _, found, _, _ in _scanned(sorted(folder.glob("*.spool"))):
            frames += [*found[:1], *found[-1:]]
    except (SpoolDamaged, FileNotFoundError):
        if _in_use(folder):
            return None  # files came and went meanwhile: who uses them tells of them
        raise
    return Left(frames[0].before, frames[-1].after) if frames else None


def _in_use(folder: Path) -> bool:
    with (folder / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _read(path: Path, frames: list[Frame]) -> list[Kept]:
    """The appends of frames that lie side by side."""
    begin, end = frames[0].offset, frames[-1].end
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = memoryview(file.read(end - begin))
        return [one for frame in frames for one in decode(data[frame.offset - begin : frame.end - begin], frame)]
    except (Damage, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _NOT_NOW:
            raise
        raise SpoolDamaged(f"{path}: the spool at bytes {begin} to {end}: {error}") from error


def sync(file: int) -> None:
    """On the disk when it returns; on a Mac, past the drive's own cache, too."""
    if sys.platform == "darwin":
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


def sync_folder(folder: Path) -> None:
    """The folder's entries on the disk: files that were made in it, or removed."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _cut(path: Path, size: int) -> None:
    with contextlib.closing(path.open("r+b")) as file:
        file.truncate(size)
        sync(file.fileno())
