"""`bench pricing`: the kernels beside other libraries in the same run, on one core, and the laws they must obey.

A table of sections. A module of `app.commands` takes part by a function `sections(quick) -> list[Section]`
(`bench_pricing_rounds.Section`: a name, and `run() -> list[Row]` that measures with `in_turn`), named in `PARTS`.
A section may use the contracts of `bench_pricing_sets` and the rivals' adapters; it runs with compiled kernels, pinned
to one core, and must leave both as they are.
"""

from __future__ import annotations

import importlib
import platform
from typing import Any

import numpy as np

from app.commands.bench_pricing_rounds import Row, one_core, rounds_of, row
from app.commands.bench_progress import now
from app.warming import cache_folder, private
from engine.pricing import kernels

PARTS = ("bench_pricing_european", "bench_american")


def bench_pricing(quick: bool) -> dict[str, Any]:
    """Rows of all sections. Without compiled kernels it measures what serves then, and says why."""
    rows: list[Row] = []
    with one_core() as pinned:
        folder = cache_folder()
        kernels.prepare(folder if private(folder) else None)
        state = kernels.warm()
        rows.append(row("kernels", state.serving.value + (f" ({state.reason})" if state.reason else "")))
        for part in PARTS:
            for section in importlib.import_module(f"app.commands.{part}").sections(quick):
                now(f"pricing, {section.name}")
                rows += [{**each, "what": f"{section.name}: {each['what']}"} for each in section.run()]
    profile = {
        "cores": pinned,
        "rounds": rounds_of(quick),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    return {"rows": rows, "profile": profile}
