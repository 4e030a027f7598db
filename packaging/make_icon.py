"""Draws the application's icon: `python packaging/make_icon.py` writes resources/icons/strikedesk.{png,icns}.

Run by hand when the drawing changes; the results are kept in the repository. Colours come from the tokens.
"""

from __future__ import annotations

import os
import struct
import tomllib
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QBuffer, QIODevice, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QImageWriter, QPainter, QPen, QPolygonF

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
SIZES = {b"icp5": 32, b"icp6": 64, b"ic07": 128, b"ic08": 256, b"ic09": 512, b"ic10": 1024}
"""Kinds of picture in an .icns file that hold PNG, and their width in pixels."""


def draw(size: int, colours: dict[str, str]) -> bytes:
    """One icon as PNG: the payoff of a long call, and its strike."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / 100, size / 100)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colours["surface1"]))
    painter.drawRoundedRect(QRectF(10, 10, 80, 80), 18, 18)
    painter.setPen(QPen(QColor(colours["line_focus"]), 1.6, Qt.PenStyle.DashLine))
    painter.drawLine(QPointF(50, 22), QPointF(50, 78))
    painter.setPen(QPen(QColor(colours["line"]), 2))
    painter.drawLine(QPointF(20, 58), QPointF(80, 58))
    stroke = QPen(QColor(colours["hi"]), 5.5)
    stroke.setCapStyle(Qt.PenCapStyle.RoundCap)
    stroke.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(stroke)
    painter.drawPolyline(QPolygonF([QPointF(23, 68), QPointF(50, 68), QPointF(77, 30)]))
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, b"png")
    if not writer.write(image):
        raise RuntimeError(f"Qt could not write a PNG: {writer.errorString()}")
    return bytes(buffer.data().data())


def icns(pictures: dict[bytes, bytes]) -> bytes:
    """An .icns file: its magic and length, then kind, length and content of each picture."""
    body = b"".join(kind + struct.pack(">I", len(data) + 8) + data for kind, data in pictures.items())
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def main() -> None:
    application = QGuiApplication([])
    colours = tomllib.loads((RESOURCES / "tokens.toml").read_text(encoding="utf-8"))["dark"]["colours"]
    pictures = {kind: draw(size, colours) for kind, size in SIZES.items()}
    (RESOURCES / "icons").mkdir(exist_ok=True)
    (RESOURCES / "icons" / "strikedesk.icns").write_bytes(icns(pictures))
    (RESOURCES / "icons" / "strikedesk.png").write_bytes(pictures[b"ic08"])
    del application


if __name__ == "__main__":
    main()
