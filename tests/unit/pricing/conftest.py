"""Machine code for tests that price thousands of American contracts: compiled once, kept between runs, the same bits as numpy's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.pricing import kernels


@pytest.fixture(scope="module")
def compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    assert request.config.cache is not None
    kernels.prepare(Path(request.config.cache.mkdir("kernels")))
    kernels.warm()
    yield
    kernels.cool()
    kernels.prepare(None)
