"""Shared fixtures. Real data for tests is found by STRIKEDESK_DATA (default ../shared/data beside the project)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.warming import cache_folder, private
from engine.pricing import kernels

ROOT = Path(__file__).resolve().parent.parent
OWN_BUILD = ("test_pricing_kernels.py", "test_pricing_implied.py", "test_warming.py")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real quotes, chains and bars."""
    folder = Path(os.environ.get("STRIKEDESK_DATA", ROOT.parent / "shared" / "data"))
    assert folder.is_dir(), f"real data for tests was not found at {folder}; set STRIKEDESK_DATA"
    return folder


@pytest.fixture(autouse=True)
def _compiled_kernels(request: pytest.FixtureRequest) -> None:
    """Who trades prices by machine code, as a running desk does: the same bits as numpy's, in a hundredth of the time. Tests of the
    kernels themselves choose their build."""
    if request.path.name in OWN_BUILD:
        return
    if kernels.state().serving is kernels.Serving.NUMPY:
        folder = cache_folder()
        kernels.prepare(folder if private(folder) else None)
        kernels.warm()
