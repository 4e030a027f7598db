"""What turns lanes and loops into machine code. Imported only by `runtime.warm`: it loads numba, which takes a while."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic, overload, register_jitable

from engine.pricing.kernels import lanes

# No fast-math flag at all: NaN, infinities and the order of operations mean what they say, and numpy gives the same
# bits. Division by zero gives inf or NaN as in numpy (and no branch that would stop vectorising).
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False}
_config: Any = numba.core.config
_known: list[Callable[..., Any]] = []


def _bits_reading(typing_context: Any, x: Any) -> Any:
    return types.int64(types.float64), lambda context, builder, signature, values: builder.bitcast(
        values[0], ir.IntType(64)
    )


def _float_reading(typing_context: Any, bits: Any) -> Any:
    return types.float64(types.int64), lambda context, builder, signature, values: builder.bitcast(
        values[0], ir.DoubleType()
    )


def _whole_reading(typing_context: Any, k: Any) -> Any:
    return types.float64(types.int64), lambda context, builder, signature, values: builder.sitofp(
        values[0], ir.DoubleType()
    )


_bits: Any = intrinsic(_bits_reading)
_float: Any = intrinsic(_float_reading)
_whole: Any = intrinsic(_whole_reading)


def _register() -> None:
    """Teach numba the lanes it does not know yet."""
    inlined: Any = {**_OPTIONS, "forceinline": True}
    for primitive, reading in (
        (lanes.choose, lambda condition, yes, no: lambda condition, yes, no: yes if condition else no),
        (lanes.bits_of, lambda x: lambda x: _bits(x)),
        (lanes.float_of, lambda bits: lambda bits: _float(bits)),
        (lanes.whole_float, lambda k: lambda k: _whole(k)),
    ):
        if primitive not in _known:
            overload(primitive, jit_options=inlined)(reading)
            _known.append(primitive)
    for function in lanes.LANES:
        if function not in _known:
            register_jitable(**inlined)(function)
            _known.append(function)


def compiled(loop: Callable[..., Any], signature: str, cache_folder: Path | None) -> Callable[..., Any]:
    """The loop as machine code for exactly this signature, from the folder if it is there, else compiled and kept there.

    Raises what numba raises when it cannot compile, and OSError where the folder cannot be read or written.
    """
    _register()
    before = _config.CACHE_DIR
    # numba asks for the folder when the function is declared, and knows only this global way to be told.
    _config.CACHE_DIR = str(cache_folder) if cache_folder is not None else before
    try:
        dispatcher = numba.njit(loop, cache=cache_folder is not None, nogil=True, **_OPTIONS)
        if cache_folder is not None and not Path(dispatcher.stats.cache_path).is_relative_to(cache_folder):
            # numba would keep it beside the source instead, where it cannot tell old code from new.
            raise OSError(f"cannot write to {cache_folder}")
        dispatcher.compile(signature)
    finally:
        _config.CACHE_DIR = before
    dispatcher.disable_compile()
    function: Callable[..., Any] = dispatcher
    return function
