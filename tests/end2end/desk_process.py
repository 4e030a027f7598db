"""A real desk on a virtual screen: its own Xvfb, its own process, keys from xdotool; what happened is read from the ledger."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from app.warming import VARIABLE
from engine.clock import SystemClock
from tests.bodies import signal_body

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
"""Seconds until something is said never to come."""

T = TypeVar("T")


def program(name: str) -> str:
    """Where a program of the system is. Its absence is a failure: the setup installs it."""
    found = shutil.which(name)
    assert found, f"{name} was not found: apt-get install xvfb xdotool"
    return found


def until(look: Callable[[], T], what: str) -> T:
    """Look again and again; the first answer that is true."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not seen within {PATIENCE:.0f} s: {what}"
        time.sleep(0.03)


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """An X server of our own on a free display; its name."""
    reading, writing = os.pipe()
    command = [program("Xvfb"), "-displayfd", str(writing), "-screen", "0", "1680x1050x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, f"Xvfb ended with {server.wait()}"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent, with the room of an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int), ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong), ("format", ctypes.c_int), ("data", ctypes.c_long * 5),
        ("room", ctypes.c_long * 12),
    )  # fmt: skip


def delete_window(display: str, window: int) -> None:
    """Send WM_DELETE_WINDOW, as window managers do; xdotool can only ask one that is not there to do it."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    x11.XInternAtom.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
    x11.XSendEvent.argtypes = (ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
    x11.XCloseDisplay.argtypes = (ctypes.c_void_p,)
    connection = x11.XOpenDisplay(display.encode())
    assert connection, display
    protocols, delete = (x11.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
    event = ClientMessage(type=33, window=window, message_type=protocols, format=32, data=(delete, 0, 0, 0, 0))
    assert x11.XSendEvent(connection, window, 0, 0, ctypes.byref(event))
    x11.XCloseDisplay(connection)


class DeskProcess:
    """One home, and the desk that runs on it.

    Attributes: process, while it runs; url, where it listens.
    """

    def __init__(self, home: Path, display: str, *options: str) -> None:
        self.home, self._options = home, options
        kept = {
            k: v
            for k, v in os.environ.items()
            if k == VARIABLE or not k.startswith(("STRIKEDESK_", "DATABASE_", "QT_", "WAYLAND_"))
        }
        self._environment = {**kept, "DISPLAY": display}
        self._errors = home.parent / f"{home.name}.stderr"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self._window = ""

    # -- its life

    def start(self) -> None:
        """Start it, and wait until it listens, is on the screen and has the keyboard."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, str(ROOT / "main.py"), "desk", "--home", str(self.home), "--port", str(port)]
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, *self._options], stdout=errors, stderr=errors, cwd=ROOT, env=self._environment
            )
        until(self._listens, "the desk listens")
        # Without a window manager nobody hands out the keyboard.
        self._window = until(
            lambda: self._xdotool("search", "--onlyvisible", "--name", "^Strikedesk"), "its window"
        ).split()[-1]
        self._xdotool("windowfocus", "--sync", self._window)
        self.shows("PAPER")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._errors.read_text()[-3000:]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        return False

    def ended(self) -> int:
        """Wait until it ended by itself; its exit code."""
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def ask_to_close(self) -> None:
        """What a window manager says when the close button is pressed."""
        delete_window(self._environment["DISPLAY"], int(self._window))

    def kill(self) -> None:
        """After a failed test: nothing of it is left running."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # -- hands and eyes

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            [program("xdotool"), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.stdout.strip()

    def title(self) -> str:
        return self._xdotool("getwindowname", self._window)

    def shows(self, words: str) -> None:
        """Wait until the window's title says so: then the panels say it, too."""
        until(lambda: words in self.title(), f"{words} in the title, which says {self.title()}")

    def press(self, *keys: str) -> None:
        """Press and release each key, one after the other."""
        self._xdotool("key", "--delay", "20", *keys)

    def type(self, text: str) -> None:
        self._xdotool("type", "--delay", "10", text)

    @contextlib.contextmanager
    def holding(self, *keys: str) -> Iterator[None]:
        """Keys down, and up again at the end, the last one first."""
        for key in keys:
            self._xdotool("keydown", key)
        try:
            yield
        finally:
            for key in reversed(keys):
                self._xdotool("keyup", key)

    # -- doors

    def _secret(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tomllib.loads((self.home / 'secrets.toml').read_text())[name]}"}

    def get(self, path: str, **query: Any) -> Any:
        answer = httpx.get(f"{self.url}{path}", params=query, headers=self._secret("api_token"), timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """Durable facts of that kind, oldest first."""
        found: list[dict[str, Any]] = self.get("/api/ledger", kind=kind, limit=1000)
        return found

    def fact(self, kind: str, number: int = 1) -> dict[str, Any]:
        """Wait for the n-th fact of that kind; there must not be more."""
        facts = until(lambda: found if len(found := self.facts(kind)) >= number else None, f"{number} {kind}")
        assert len(facts) == number, facts
        return facts[-1]

    def hear(self, symbol: str, *timeframes: str) -> int:
        """Post full LONG signals at the price of now; the last one's receipt."""
        receipt = 0
        for timeframe in timeframes:
            price = float(self.get(f"/api/quotes/{symbol}")["mid"])
            body = signal_body(symbol, timeframe, price=price, timestamp=int(SystemClock().wall().timestamp() * 1000))
            answer = httpx.post(
                f"{self.url}/webhook/signal", json=body, headers=self._secret("webhook_signal"), timeout=10
            )
            assert answer.status_code == 202, answer.text
            receipt = answer.json()["receipt"]
        return receipt
