"""Kernels: the mathematics against 60 digits, both builds to the bit, and every way in which compiling can go wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from app.commands.bench_pricing_sets import chains, hard
from engine.pricing import greeks
from engine.pricing.kernels import Serving, compiler, european, implied, lanes, prepare, runtime, state, warm
from engine.pricing.kernels.runtime import Kernel

ROOT = Path(__file__).parents[3]


@pytest.fixture
def only_value(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One small kernel to compile instead of all; numpy again afterwards."""
    runtime.cool()
    monkeypatch.setattr(runtime, "_KERNELS", [european.VALUE])
    monkeypatch.setattr(runtime, "KERNEL_MODULES", ("european",))
    yield
    runtime.cool()
    prepare(None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("compiled")
    kernels = {"value": european.VALUE, "greeks": european.GREEKS, "full": european.FULL, "implied": implied.IMPLIED}
    return {
        name: (kernel, compiler.compiled(kernel.loop, kernel.signature, folder)) for name, kernel in kernels.items()
    }


# ---- the mathematics


def ulps(found: np.ndarray, inputs: np.ndarray, known: Callable[[Any], Any]) -> float:
    with mpmath.workdps(60):
        exact = [known(mpmath.mpf(float(x))) for x in inputs]
        return max(
            float(abs(mpmath.mpf(float(y)) - e)) / float(np.spacing(abs(float(e))))
            for y, e in zip(found, exact, strict=True)
        )


def mills_exactly(a: Any) -> Any:
    return mpmath.ncdf(-a) / mpmath.npdf(a)


@pytest.mark.parametrize(
    ("function", "known", "inputs", "allowed"),
    [
        (lanes.exp, mpmath.exp, np.linspace(-690.0, 700.0, 1500), 1.0),
        (lanes.exp, mpmath.exp, np.linspace(-1.0, 1.0, 1001), 1.0),
        (lanes.log, mpmath.log, np.geomspace(1e-300, 1e300, 1500), 1.0),
        (lanes.log, mpmath.log, 1.0 + np.linspace(-0.5, 0.5, 1000), 1.0),
        (lanes.mills, mills_exactly, np.linspace(0.0, 12.0, 1000), 5.0),
        (lanes.mills, mills_exactly, np.geomspace(1e-6, 100.0, 500), 5.0),
        # Far out the rounding of d² is all there is: d²/2 half ulps.
        (lanes.normal_cdf, mpmath.ncdf, np.linspace(-6.0, 8.0, 1000), 45.0),
    ],
)
def test_lanes_are_exact_to_a_few_roundings(
    function: Callable[[Any], Any], known: Callable[[Any], Any], inputs: np.ndarray, allowed: float
) -> None:
    assert ulps(function(inputs), inputs, known) <= allowed


def test_the_logarithm_of_a_ratio_keeps_its_digits_near_one() -> None:
    a, b = 100.0 + np.geomspace(1e-12, 1e-2, 50), np.full(50, 100.0)
    with mpmath.workdps(60):
        exact = [mpmath.log(mpmath.mpf(float(x)) / 100) for x in a]
    assert max(abs(float(y / e - 1)) for y, e in zip(lanes.log_of_ratio(a, b), exact, strict=True)) < 5e-16


def test_lanes_outside_their_ground() -> None:
    """No inf and no subnormal comes out, and what is not a number stays none."""
    edges = np.array([np.nan, np.inf, -np.inf, 1e5, -1e5, 0.0])
    with np.errstate(all="ignore"):
        assert np.isnan(lanes.exp(edges)[0])
        assert np.isfinite(lanes.exp(edges)[1:]).all()
        assert (lanes.exp(edges)[1:] > np.finfo(float).tiny).all()
        assert np.isnan(lanes.log(np.array([np.nan, np.inf, -1.0]))).all()
        assert lanes.log(np.array([0.0, 1e-320])) == pytest.approx(np.log(np.finfo(float).tiny))
        assert lanes.normal_cdf(edges)[1:].tolist() == [1.0, 0.0, 1.0, 0.0, 0.5]
        assert np.isnan(lanes.normal_cdf(edges)[0])
        assert lanes.mills(np.array([np.inf]))[0] == pytest.approx(1e-20)


# ---- two builds, the same bits


def agree(kernel: Kernel, code: Callable[..., None], inputs: tuple[Any, ...], results: list[np.ndarray]) -> None:
    ours, theirs = [np.zeros_like(each) for each in results], [np.ones_like(each) for each in results]
    code(*inputs, *ours)
    kernel.by_numpy(*inputs, *theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert np.array_equal(mine, other, equal_nan=True)


def wild(count: int) -> tuple[Any, ...]:
    """Everything that may come in, and what may not."""
    random = np.random.default_rng(9)
    strange = np.array([0.0, -1.0, np.nan, np.inf, -np.inf, 1e-320, 1e300, 100.0])
    columns = [np.exp(random.uniform(-8.0, 8.0, count)) for _ in range(6)]
    for column in columns:
        at = random.random(count) < 0.15
        column[at] = random.choice(strange, int(at.sum()))
    return (*columns, random.random(count) < 0.5)


@pytest.mark.parametrize(("name", "results"), [("value", 1), ("greeks", 6), ("full", 9)])
@pytest.mark.parametrize("count", [1, 7, 5_003])
def test_compiled_european_kernels_give_numpys_bits(built: Any, name: str, results: int, count: int) -> None:
    kernel, code = built[name]
    units = () if name == "value" else (0.01, 1 / 365, 0.01)
    empty = [np.empty(count) for _ in range(results)]
    agree(kernel, code, (*chains(count), *units), empty)
    agree(kernel, code, (*hard(count).contracts, *units), empty)
    agree(kernel, code, (*wild(count), *units), empty)


@pytest.mark.parametrize("count", [1, 7, 5_003])
def test_the_compiled_implied_kernel_gives_numpys_bits_and_statuses(built: Any, count: int) -> None:
    kernel, code = built["implied"]
    results = [np.empty(count), np.empty(count, np.int8)]
    known = hard(count)
    spot, strike, t, r, q, _vol, is_call = known.contracts
    agree(kernel, code, (known.price, spot, strike, t, r, q, is_call), results)
    agree(kernel, code, wild(count), results)


def test_a_contracts_vol_does_not_hang_on_its_neighbours(built: Any) -> None:
    _kernel, code = built["implied"]
    known = hard(600)
    spot, strike, t, r, q, _vol, is_call = known.contracts
    inputs = (known.price, spot, strike, t, r, q, is_call)
    together, alone, status = np.empty(600), np.empty(600), np.empty(600, np.int8)
    code(*inputs, together, status)
    for n in range(600):
        code(*(each[n : n + 1] for each in inputs), alone[n : n + 1], status[n : n + 1])
    assert np.array_equal(together, alone)


# ---- who serves


def test_importing_pricing_loads_no_compiler() -> None:
    program = "import sys, engine.pricing; sys.exit('numba' in sys.modules or 'llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=60).returncode == 0


@pytest.mark.usefixtures("only_value")
def test_warming_changes_who_serves_and_not_the_result(tmp_path: Path) -> None:
    before = greeks(100.0, np.linspace(50.0, 200.0, 99), 0.3, 0.04, 0.01, 0.25, True)
    prepare(tmp_path)
    assert state() == (Serving.NUMPY, "")
    assert warm() == (Serving.COMPILED, "")
    assert state().serving is Serving.COMPILED
    assert warm() == (Serving.COMPILED, "")
    after = greeks(100.0, np.linspace(50.0, 200.0, 99), 0.3, 0.04, 0.01, 0.25, True)
    assert np.array_equal(np.array(before), np.array(after))
    assert list((tmp_path / runtime.fingerprint()).rglob("*.nbc"))


@pytest.mark.usefixtures("only_value")
def test_compiled_code_takes_views_and_frozen_arrays() -> None:
    prepare(None)
    assert warm() == (Serving.COMPILED, "")
    strikes = np.linspace(50.0, 200.0, 40)
    strikes.flags.writeable = False
    known = greeks(100.0, strikes.copy(), 0.3, 0.04, 0.01, 0.25, True).value
    for given in (strikes, np.repeat(strikes, 2)[::2], strikes.reshape(4, 10), np.broadcast_to(strikes, (3, 40))):
        found = greeks(100.0, given, 0.3, 0.04, 0.01, 0.25, True).value
        assert found.shape == given.shape
        assert np.array_equal(found.reshape(-1)[:40], known)


@pytest.mark.usefixtures("only_value")
def test_asked_for_numpy_it_stays_numpy(tmp_path: Path) -> None:
    prepare(tmp_path, allow_compiler=False)
    assert warm() == (Serving.UNAVAILABLE, "the numpy build was asked for")
    assert european.VALUE.machine_code is None


@pytest.mark.usefixtures("only_value")
def test_a_folder_that_cannot_be_written_costs_only_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    prepare(tmp_path / "file")
    found = warm()
    assert found.serving is Serving.COMPILED
    assert found.reason.startswith("compiled code is not kept: OSError")


@pytest.mark.usefixtures("only_value")
@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\x80\x05cnot_a_module\nnothing\n."])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    prepare(tmp_path)
    assert warm().reason == ""
    kept = [*tmp_path.rglob("*.nbi"), *tmp_path.rglob("*.nbc")]
    assert len(kept) == 2
    for file in kept:
        file.write_bytes(damage)
    runtime.cool()
    assert warm() == (Serving.COMPILED, "")
    assert all(file.read_bytes() != damage for file in kept)


@pytest.mark.usefixtures("only_value")
def test_machine_code_that_differs_from_numpy_never_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_numpy_but_wrong(*arguments: Any) -> None:
        european._value_blocks(*arguments)
        arguments[-1][3] = np.nextafter(arguments[-1][3], np.inf)  # one bit, in one contract

    monkeypatch.setattr(european.VALUE, "blocks", by_numpy_but_wrong)
    prepare(None)
    assert warm() == (Serving.UNAVAILABLE, "compiled results differ from numpy's: _value_loop")
    assert european.VALUE.machine_code is None


@pytest.mark.usefixtures("only_value")
def test_what_does_not_compile_leaves_numpy_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def loop(spot: Any, strike: Any, t: Any, r: Any, q: Any, vol: Any, call: Any, value: Any) -> None:
        value.is_no_method_of_an_array()

    monkeypatch.setattr(european.VALUE, "loop", loop)
    prepare(None)
    found = warm()
    assert found.serving is Serving.UNAVAILABLE
    assert "TypingError" in found.reason


def test_code_of_other_sources_lies_elsewhere(tmp_path: Path) -> None:
    """numba sees a change of the loop alone, not of what it calls; the folder's name sees all of them."""
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    program = "from engine.pricing.kernels import runtime; print(runtime.fingerprint())"

    def fingerprint() -> str:
        return subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True, timeout=60).strip()

    assert fingerprint() == runtime.fingerprint()
    source = tmp_path / "engine" / "pricing" / "kernels" / "lanes.py"
    source.write_text(source.read_text().replace("1.4426950408889634", "1.4426950408889636"))
    assert fingerprint() != runtime.fingerprint()


def test_two_processes_warm_into_one_folder_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from engine.pricing import kernels; "
        "from engine.pricing.kernels import european, runtime; "
        "runtime._KERNELS[:] = [european.VALUE]; runtime.KERNEL_MODULES = ('european',); "
        "kernels.prepare(Path(sys.argv[1])); print(*kernels.warm())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [each.communicate(timeout=100)[0].strip() for each in running]
    assert said == ["compiled", "compiled"]
