"""A place for engines that are killed: in memory where there is room, for nothing here needs a disk to be true."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.engine_process import ground


@pytest.fixture
def place() -> Iterator[Path]:
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    with ground(memory if roomy else None) as folder:
        yield folder
