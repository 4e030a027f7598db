"""Wrong use is answered in one line that says where to look."""

from __future__ import annotations

import pytest

from app import cli


@pytest.mark.parametrize(
    ("arguments", "says", "see"),
    [
        (["--nonsense", "kernels"], "unrecognized arguments: --nonsense", "strikedesk --help"),
        (["prise"], "invalid choice: 'prise'", "strikedesk --help"),
        (["price"], "the following arguments are required: IN, OUT", "strikedesk price --help"),
        (["ledger", "burn"], "invalid choice: 'burn'", "strikedesk ledger --help"),
    ],
)
def test_wrong_use_names_the_help_that_is_there(
    arguments: list[str], says: str, see: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert says in line
    assert line.endswith(f"; see {see}")
    assert "  " not in line
