"""Who runs a kernel: numpy at once, machine code when it is ready. Called by the rooms of pricing and by the app.

A kernel is one loop over contracts with two builds, the compiled loop and its numpy reading, which give the same bits;
so it never shows which of the two served a call, nor when they changed. Importing this imports no compiler.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import shutil
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

KERNEL_MODULES = (
    "european",
    "implied",
    "american",
    "american_boundary",
    "american_equation",
    "american_grid",
    "american_premium",
    "american_schemes",
    "american_search",
    "american_shared",
)
"""Modules of this package that declare kernels; `warm` compiles them all."""
BLOCK = 4096
"""Contracts numpy takes at a time: its temporaries stay in the nearest cache."""


class Serving(StrEnum):
    """Which build answers now."""

    NUMPY = "numpy"
    WARMING = "warming"
    """numpy, while the compiler works."""
    COMPILED = "compiled"
    UNAVAILABLE = "unavailable"
    """numpy for good, and why."""


class State(NamedTuple):
    serving: Serving
    reason: str = ""
    """Why there is no compiled code, or why it is not kept on disk; else empty."""


class Kernel:
    """A loop over contracts: arguments are C-contiguous arrays and plain numbers, results are written into arrays given.

    `loop` is compiled for `signature` (numba's notation, every array `[::1]`); `blocks` does the same by numpy. `probe`
    makes arguments of which the last `outputs` are result arrays; before the compiled loop may serve, both builds must
    agree on them to the bit.
    """

    def __init__(
        self,
        loop: Callable[..., None],
        blocks: Callable[..., None],
        signature: str,
        probe: Callable[[], tuple[Any, ...]],
        outputs: int,
    ) -> None:
        self.loop, self.blocks, self.signature, self.probe, self.outputs = loop, blocks, signature, probe, outputs
        self.machine_code: Callable[..., None] | None = None
        _KERNELS.append(self)

    def __call__(self, *arguments: Any) -> None:
        code = self.machine_code
        if code is not None:
            code(*arguments)
            return
        self.by_numpy(*arguments)

    def by_numpy(self, *arguments: Any) -> None:
        """The numpy build, whatever is compiled."""
        with np.errstate(all="ignore"):
            self.blocks(*arguments)


_KERNELS: list[Kernel] = []
_one_at_a_time = threading.Lock()
_state = State(Serving.NUMPY)
_folder: Path | None = None
_allowed = True


def prepare(cache_folder: Path | None, *, allow_compiler: bool = True) -> None:
    """Say where compiled code is kept (None: nowhere) and whether to compile at all. Call it before `warm`.

    The folder should be writable by its owner only: what lies in it is run.
    """
    global _folder, _allowed
    _folder, _allowed = cache_folder, allow_compiler


def state() -> State:
    """What serves now. Cheap."""
    return _state


def blocks(size: int, most: int = BLOCK) -> Iterator[slice]:
    """Slices of at most `most` that cover `size` contracts."""
    for start in range(0, size, most):
        yield slice(start, min(start + most, size))


def warm() -> State:
    """Compile every kernel, or load it from the cache folder, and let the machine code serve. Never raises.

    Takes seconds without a cache; safe in any thread and twice at once. All kernels change over, or none.
    """
    with _one_at_a_time:
        if _state.serving is Serving.COMPILED:
            return _state
        if not _allowed:
            return _become(Serving.UNAVAILABLE, "the numpy build was asked for")
        _become(Serving.WARMING)
        for module in KERNEL_MODULES:
            if importlib.util.find_spec(f"{__package__}.{module}") is not None:
                importlib.import_module(f"{__package__}.{module}")
        try:
            from engine.pricing.kernels import compiler
        except ImportError as error:
            return _become(Serving.UNAVAILABLE, f"no compiler: {error}")
        built, reason = _built(compiler.compiled)
        if built is None:
            return _become(Serving.UNAVAILABLE, reason)
        wrong = [kernel.loop.__name__ for kernel, code in built if not _agrees(kernel, code)]
        if wrong:
            return _become(Serving.UNAVAILABLE, f"compiled results differ from numpy's: {', '.join(wrong)}")
        for kernel, code in built:
            kernel.machine_code = code
        return _become(Serving.COMPILED, reason)


def cool() -> None:
    """Back to numpy, as if never warmed; for measurements and tests."""
    with _one_at_a_time:
        for kernel in _KERNELS:
            kernel.machine_code = None
        _become(Serving.NUMPY)


def kernels() -> tuple[Kernel, ...]:
    """All that are declared in the modules imported so far."""
    return tuple(_KERNELS)


def _become(serving: Serving, reason: str = "") -> State:
    global _state
    _state = State(serving, reason)
    return _state


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")


_Compile = Callable[[Callable[..., Any], str, Path | None], Callable[..., Any]]
_Built = list[tuple[Kernel, Callable[..., None]]]


def _built(compile_one: _Compile) -> tuple[_Built | None, str]:
    """All kernels compiled, from and into the cache if it can be; and why it could not, or why nothing could."""
    if _folder is not None:
        # numba does not see a change in what a function calls: code of other sources must not lie in the same folder.
        kept = _folder / fingerprint()
        try:
            return _compile_all(compile_one, kept), ""
        except Exception:  # noqa: BLE001 - a cache can fail in any way, a damaged pickle too; below it is made anew
            shutil.rmtree(kept, ignore_errors=True)
        try:
            return _compile_all(compile_one, kept), ""
        except Exception as error:  # noqa: BLE001 - it is only a cache
            reason = f"compiled code is not kept: {_told(error)}"
    else:
        reason = ""
    try:
        return _compile_all(compile_one, None), reason
    except Exception as error:  # noqa: BLE001 - numpy gives the same results; the reason is told
        return None, _told(error)


def _compile_all(compile_one: _Compile, kept: Path | None) -> _Built:
    return [(kernel, compile_one(kernel.loop, kernel.signature, kept)) for kernel in _KERNELS]


def _agrees(kernel: Kernel, code: Callable[..., None]) -> bool:
    ours, theirs = kernel.probe(), kernel.probe()
    code(*ours)
    kernel.by_numpy(*theirs)
    return all(
        mine.tobytes() == other.tobytes() or np.array_equal(mine, other, equal_nan=True)
        for mine, other in zip(ours[-kernel.outputs :], theirs[-kernel.outputs :], strict=True)
    )


def fingerprint() -> str:
    """16 hex digits that change with any code of the kernels and with numba, numpy and Python; names the cache folder."""
    digest = hashlib.sha256()
    import engine.pricing.kernels as package

    # All that lies here: what a kernel calls in another module is compiled into it.
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        spec = importlib.util.find_spec(f"{__package__}.{module}")
        code = spec.loader.get_code(spec.name) if spec is not None and spec.loader is not None else None  # type: ignore[attr-defined]
        if code is not None:
            _digest(code, digest)
    import llvmlite  # type: ignore[import-untyped]
    import numba

    digest.update(f"{numba.__version__} {llvmlite.__version__} {np.__version__}".encode())
    return digest.hexdigest()[:16]


def _digest(code: CodeType, digest: Any) -> None:
    digest.update(code.co_code)
    digest.update(repr((code.co_name, code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _digest(constant, digest)
        elif not isinstance(constant, frozenset):
            digest.update(repr(constant).encode())
