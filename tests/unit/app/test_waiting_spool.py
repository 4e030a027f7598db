"""Facts in the spool are named where the database is not there, and where it is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.ledger import _spooled
from app.lifecycle import database_of
from app.options import Options
from app.wiring import ask
from engine.ports import LedgerAway
from tests.storage.test_spool import Filled


async def test_a_start_without_the_database_says_how_many_facts_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me@/desk?host={tmp_path}")
    asked = ask(Options(home=tmp_path / "home", overrides={}), with_secrets=False)
    for facts, words in ((0, "cannot be reached"), (7, "; 7 facts wait for it in the spool$")):
        if facts:
            filled = Filled(asked.home.spool)
            filled.write(3, 4)
            filled.spool.close()
        with pytest.raises(LedgerAway, match=words) as caught:
            async with database_of(asked):
                pass
        assert ("wait for it" in str(caught.value)) == bool(facts)


def test_a_check_of_the_ledger_says_what_only_the_spool_has(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    assert _spooled(folder, 0) == []
    filled = Filled(folder)
    filled.write(3, 4)
    filled.spool.close()
    for last, behind in ((0, 7), (5, 2), (7, 0), (9, 0)):
        (note,) = _spooled(folder, last)
        assert note.startswith(f"the spool holds facts 1 to 7, of which the database lacks {behind};")
    (file,) = folder.glob("*.spool")
    file.write_bytes(b"x" * 400)
    (note,) = _spooled(folder, 0)
    assert note.startswith("the spool cannot be read: ")
