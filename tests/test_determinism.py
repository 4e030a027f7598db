"""The engine decides the same from the same: no clock, chance or order of its own. Read from the source, see docs/determinism.md.

What is found must be taken out or stand in `ALLOWED` with its reason; a reason that no longer fits anything is an error, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns", "time.monotonic",
    "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns", "time.process_time", "time.localtime", "time.gmtime",
    "time.sleep",
}  # fmt: skip
CHANCE = {
    "uuid.uuid1", "uuid.uuid4", "os.urandom", "os.getpid", "numpy.random.default_rng", "random.Random", "random.SystemRandom",
}  # fmt: skip
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb", "locale.getlocale", "platform.node", "socket.gethostname"}
ORDER = {"id", "hash"}
ORDERLESS = {"sorted", "len", "any", "all", "sum", "min", "max", "set", "frozenset", "bool"}
"""What may be done with a set because its order cannot show. A sum of floats could: those are added up from sequences."""
CONSUMERS = {"list", "tuple", "enumerate", "iter", "next", "zip", "map", "filter", "reversed", "dict", "deque", "join"}

ALLOWED: dict[tuple[str, str], str] = {
    ("engine/clock.py", "datetime.now"): "the one place where the machine's clock enters, behind the Clock port",
    ("engine/clock.py", "time.monotonic"): "the same place: for waits that must not hang on what a clock is set to",
    (
        "engine/domain/canonical.py",
        "id()",
    ): "finds the text of an object that is held, and asks if it is that object; orders nothing",
    ("engine/journey/conductor.py", "time.perf_counter"): "durations for the health panel; nothing is decided by them",
}
"""(file, what) -> why it cannot change a decision."""

EDGES: dict[str, str] = {
    "engine/intake/": "doors: sockets, secrets and signatures; what they let in is a value with its own time",
    "engine/operations/": "reports and health: they read what happened and decide nothing",
    "engine/views/": "what panels show; read-only",
    "engine/market/recording.py": "reads a recorded day from files before the day is played",
    "engine/market/parquet.py": "reads files",
    "engine/pricing/kernels/": "which build of a kernel serves: both give the same bits, which is tested where they are",
}
"""Parts of the engine that are not on the path of a decision."""


def modules() -> list[Path]:
    everything = sorted((ROOT / "engine").rglob("*.py"))
    return [path for path in everything if not path.relative_to(ROOT).as_posix().startswith(tuple(EDGES))]


class Reader(ast.NodeVisitor):
    """Finds in one module what could make two runs differ."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self._imported: dict[str, str] = {}
        self._sets: set[str] = set()
        self._harmless: set[int] = set()
        for node in ast.walk(tree):
            self._learn(node)
        self.visit(tree)

    # --- what names mean ----------------------------------------------------------------------------------------------

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._imported[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else (alias.name.partition(".")[0])
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = node.module or ""
                full = alias.name if module == "datetime" else f"{module}.{alias.name}"
                self._imported[alias.asname or alias.name] = full
        elif isinstance(node, ast.AnnAssign | ast.arg):
            target = node.target if isinstance(node, ast.AnnAssign) else node
            if node.annotation is not None and _is_set_type(node.annotation):
                self._sets.add(_last_name(target))
        elif isinstance(node, ast.Assign) and self._makes_set(node.value):
            self._sets |= {_last_name(target) for target in node.targets}

    def _makes_set(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Set | ast.SetComp):
            return True
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset"):
                return True
            if isinstance(node.func, ast.Attribute) and node.func.attr in (
                "union", "intersection", "difference", "symmetric_difference",
            ):  # fmt: skip
                return True
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
            return self._is_set(node.left) or self._is_set(node.right)
        return False

    def _is_set(self, node: ast.expr) -> bool:
        if self._makes_set(node):
            return True
        # keys() & keys() is a set
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
            sides = (node.left, node.right)
            return any(
                isinstance(s, ast.Call) and isinstance(s.func, ast.Attribute) and s.func.attr == "keys" for s in sides
            )
        return isinstance(node, ast.Name | ast.Attribute) and _last_name(node) in self._sets

    def _full(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self._full(node.value)}.{node.attr}"
        return ""

    # --- what is done with them ---------------------------------------------------------------------------------------

    def _note(self, node: ast.AST, what: str) -> None:
        self.found.append((getattr(node, "lineno", 0), what))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        full = self._full(node)
        short = full.removeprefix("datetime.") if full.startswith(("datetime.datetime.", "datetime.date.")) else full
        self._name(node, short)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        full = self._imported.get(node.id)
        if full is not None:
            self._name(node, full)

    def _name(self, node: ast.AST, full: str) -> None:
        if (
            full in CLOCKS
            or full in ENVIRONMENT
            or full.startswith("secrets.")
            or full in CHANCE - {"random.Random", "numpy.random.default_rng"}
            or (
                full.startswith(("random.", "numpy.random."))
                and full
                not in (
                    "random.Random",
                    "numpy.random.default_rng",
                    "numpy.random.Generator",
                )
            )
        ):
            self._note(node, full)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._full(node.func)
        if name in ("random.Random", "numpy.random.default_rng") and not node.args and not node.keywords:
            self._note(node, f"{name} without a seed")
        if isinstance(node.func, ast.Name) and node.func.id in ORDER:
            self._note(node, f"{node.func.id}()")
        for keyword in node.keywords:
            if keyword.arg == "key" and isinstance(keyword.value, ast.Name) and keyword.value.id in ORDER:
                self._note(node, f"ordered by {keyword.value.id}")
        last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if last in ORDERLESS:
            self._harmless |= {id(one) for one in node.args}
        elif last in CONSUMERS:
            for one in node.args:
                if self._is_set(one):
                    self._note(node, f"order of a set in {last}()")
        elif last == "pop" and isinstance(node.func, ast.Attribute) and not node.args and self._is_set(node.func.value):
            self._note(node, "pop() of a set")
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._iterated(node.iter, node)
        self.generic_visit(node)

    def _comprehended(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> None:
        for generator in node.generators:
            if id(node) not in self._harmless:
                self._iterated(generator.iter, node)
        self.generic_visit(node)

    visit_ListComp = visit_GeneratorExp = visit_DictComp = _comprehended  # noqa: N815 - ast's names

    def visit_Starred(self, node: ast.Starred) -> None:
        if self._is_set(node.value) and id(node) not in self._harmless:
            self._note(node, "order of a set unpacked")
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._harmless |= {id(one) for one in node.elts}
        self.generic_visit(node)

    def _iterated(self, over: ast.expr, node: ast.AST) -> None:
        if self._is_set(over):
            self._note(node, "iteration over a set")


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return getattr(node, "id", getattr(node, "arg", ""))


def _is_set_type(node: ast.expr) -> bool:
    head = node.value if isinstance(node, ast.Subscript) else node
    return isinstance(head, ast.Name) and head.id in ("set", "frozenset", "AbstractSet", "MutableSet")


def findings(source: str) -> Iterator[tuple[int, str]]:
    yield from sorted(Reader(ast.parse(source)).found)


def test_nothing_on_the_way_of_a_decision_has_a_clock_or_chance_or_order_of_its_own() -> None:
    used, found = set(), []
    for path in modules():
        name = path.relative_to(ROOT).as_posix()
        for line, what in findings(path.read_text(encoding="utf-8")):
            if (name, what) in ALLOWED:
                used.add((name, what))
            else:
                found.append(f"{name}:{line} {what}")
    assert found == [], "take it out, or say in ALLOWED why it cannot change a decision"
    assert set(ALLOWED) - used == set(), "allowed, but no longer there"


def test_every_edge_is_there() -> None:
    assert [edge for edge in EDGES if not (ROOT / edge).exists()] == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("from datetime import datetime\nx = datetime.now()", "datetime.now"),
        ("import datetime\nx = datetime.datetime.utcnow()", "datetime.utcnow"),
        ("from datetime import date\nx = date.today()", "date.today"),
        ("import time\nx = time.time()", "time.time"),
        ("from time import monotonic as m\nx = m()", "time.monotonic"),
        ("import random\nx = random.random()", "random.random"),
        ("from random import choice\nx = choice([1])", "random.choice"),
        ("from random import Random\nx = Random()", "random.Random without a seed"),
        ("import numpy as np\nx = np.random.default_rng()", "numpy.random.default_rng without a seed"),
        ("import numpy as np\nx = np.random.rand(3)", "numpy.random.rand"),
        ("import uuid\nx = uuid.uuid4()", "uuid.uuid4"),
        ("import os\nx = os.environ['A']", "os.environ"),
        ("from os import getenv\nx = getenv('A')", "os.getenv"),
        ("x = id(object())", "id()"),
        ("x = sorted([], key=id)", "ordered by id"),
        ("x = {hash(1): 2}", "hash()"),
        ("for x in {1, 2}: pass", "iteration over a set"),
        ("s: set[str] = f()\ny = [x for x in s]", "iteration over a set"),
        ("def f(s: frozenset[str]):\n    for x in s: pass", "iteration over a set"),
        ("class A:\n    seen: set[str]\n    def f(self):\n        return list(self.seen)", "order of a set in list()"),
        ("s = set(a) | b\nfor x in s: pass", "iteration over a set"),
        ("for x in a.keys() & b: pass", "iteration over a set"),
        ("s = {1}\ny = ','.join(s)", "order of a set in join()"),
        ("s = {1}\ny = s.pop()", "pop() of a set"),
        ("s = {1}\ny = (*s,)", "order of a set unpacked"),
    ],
)
def test_the_reader_sees(source: str, what: str) -> None:
    assert [found for _, found in findings(source)] == [what]


@pytest.mark.parametrize(
    "source",
    [
        "from random import Random\nx = Random(7)",
        "import numpy as np\nx = np.random.default_rng(7)",
        "s = {1}\ny = sorted(s)",
        "s = {1}\ny = any(x > 0 for x in s)",
        "s = {1}\ny = {x + 1 for x in s}",
        "s = {1}\ny = 1 in s",
        "s = {}\nfor x in s: pass",
        "s = {1}\ny = {*s, 2}",
    ],
)
def test_the_reader_lets_pass(source: str) -> None:
    assert list(findings(source)) == []
