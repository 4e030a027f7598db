"""Is there a screen? Asked before Qt is started, for Qt aborts the process without one.

Called by the desk and the doctor. It never imports Qt.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

WITHOUT_SCREEN = frozenset({"offscreen", "minimal", "vnc"})


def display_problem(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str | None:
    """Why no window can be shown, in one line that says what to do; None when one can."""
    if platform != "linux" or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return None
    if environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in WITHOUT_SCREEN:
        return None
    return "no display was found: start the engine without a screen by `make engine`, or set DISPLAY"
