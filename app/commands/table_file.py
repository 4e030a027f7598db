"""CSV files in and out for the commands that price: numbered rows, a checked header, errors that name file and line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

csv.field_size_limit(1 << 20)


class TableError(Exception):
    """The file cannot be used; the message names it and, past its start, the line."""


class RowError(ValueError):
    """A row cannot be used; the message names the column and what is wrong with it."""


class Table:
    """A CSV file being read: `columns` as they stand, `rows` of (line number, cells by lower-case name, cells as read)."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        self._reader = csv.reader(file, strict=True)
        self.columns = self._header()
        self.names = [column.strip().lower() for column in self.columns]
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice:
            raise TableError(f"{path}:1: column {sorted(twice)[0]!r} stands there twice")

    def require(self, *names: str) -> None:
        """Raises `TableError` naming every column that is missing."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise TableError(
                f"{self._path}:1: no column {', '.join(map(repr, missing))}; needed are {', '.join(names)}"
            )

    def rows(self) -> Iterator[tuple[int, Mapping[str, str], list[str], str]]:
        """Line number, cells by name, cells as read, and what is wrong with the row's shape ("" where nothing is).

        Empty lines are passed over. A row that is too short or too long still gives its cells, so that it can be kept.
        """
        while True:
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, UnicodeDecodeError, OSError) as error:
                raise TableError(f"{self._path}:{self._reader.line_num}: {_reason(error)}") from error
            if not cells or cells == [""]:
                continue
            fault = ""
            if len(cells) != len(self.names):
                fault = f"{len(cells)} cells where the header has {len(self.names)}"
                cells = (cells + [""] * len(self.names))[: len(self.names)]
            yield self._reader.line_num, dict(zip(self.names, map(str.strip, cells), strict=True)), cells, fault

    def _header(self) -> list[str]:
        try:
            return next(self._reader)
        except StopIteration:
            raise TableError(f"{self._path}: is empty") from None
        except (csv.Error, UnicodeDecodeError, OSError) as error:
            raise TableError(f"{self._path}:1: {_reason(error)}") from error


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Raises `TableError` for a file that cannot be read or has no header. A byte-order mark is passed over."""
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}") from error
    with file:
        yield Table(path, file)


@contextmanager
def open_target(source: Path, target: Path) -> Iterator[TextIO]:
    """The file to write. Raises `TableError` where it is the input, or cannot be written."""
    try:
        if target.exists() and source.exists() and source.samefile(target):
            raise TableError(f"{target}: is the input; name another file for the output")
        file = target.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise TableError(f"{target}: {error.strerror or error}") from error
    with file:
        yield file


def number(cells: Mapping[str, str], name: str, *, least: float | None = None, above: float | None = None) -> float:
    """A finite number of a column. Raises `RowError`."""
    text = cells.get(name, "")
    try:
        value = float(text)
    except ValueError:
        raise RowError(f"{name} {text!r} is not a number" if text else f"{name} is missing") from None
    if not math.isfinite(value) or "_" in text:
        raise RowError(f"{name} {text!r} is not a number")
    if above is not None and not value > above:
        raise RowError(f"{name} {text} must be above {above:g}")
    if least is not None and not value >= least:
        raise RowError(f"{name} {text} must not be below {least:g}")
    return value


def fraction(cells: Mapping[str, str], name: str, limit: float, *, least: float | None = None) -> float:
    """A number that is a fraction of 1, up to `limit` in size. Raises `RowError` for what looks like per cents."""
    value = number(cells, name, least=least)
    if abs(value) > limit:
        raise RowError(
            f"{name} {cells[name]} is {value:,.0%}, over {limit:,.0%}: a fraction is expected, {value / 100:g} for {value:g} %"
        )
    return value


def choice(cells: Mapping[str, str], name: str, allowed: Sequence[str]) -> str:
    """One of the words a column may hold, in any case. Raises `RowError`."""
    text = cells.get(name, "")
    if text.lower() not in allowed:
        raise RowError(f"{name} {text!r} is not {' or '.join(allowed)}" if text else f"{name} is missing")
    return text.lower()


def text_of(value: float) -> str:
    """The shortest text that reads back as the same number; empty for NaN."""
    return "" if value != value else repr(float(value))


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text"
    return str(getattr(error, "strerror", None) or error)
