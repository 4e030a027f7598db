"""Shared fixtures. Real data for tests is found by STRIKEDESK_DATA (default ../shared/data beside the project)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real quotes, chains and bars."""
    folder = Path(os.environ.get("STRIKEDESK_DATA", ROOT.parent / "shared" / "data"))
    assert folder.is_dir(), f"real data for tests was not found at {folder}; set STRIKEDESK_DATA"
    return folder
