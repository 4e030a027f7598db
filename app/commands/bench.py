"""`bench [NAME…]`: measurements of the real thing. Percentiles and medians, the machine's own bare commit beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from app.commands.bench_progress import now, stopped_in_order
from app.options import UsageError


def run_bench(names: Sequence[str], *, as_json: bool, quick: bool) -> int:
    from app.commands.bench_journey import bench_journey
    from app.commands.bench_ledger import bench_ledger
    from app.commands.bench_pricing import bench_pricing

    known: dict[str, Callable[[bool], dict[str, Any]]] = {
        "journey": bench_journey,
        "pricing": bench_pricing,
        "ledger": bench_ledger,
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"bench {unknown[0]}: there is {', '.join(known)}")
    results = {}
    with stopped_in_order():
        for name in names or known:
            now(name)
            results[name] = known[name](quick)
    if as_json:
        print(json.dumps(results, indent=2))
        return 0
    for name, result in results.items():
        print(name)
        for row in result["rows"]:
            print(f"  {row['what']:<64} {row['figure']:<52} {row.get('bar', '')}")
        print("  profile: " + ", ".join(f"{key} {value}" for key, value in result["profile"].items()))
    return 0
