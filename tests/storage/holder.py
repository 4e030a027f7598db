"""A process that starts the embedded server, says so, and waits to be killed. Argument: the data folder."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from storage.embedded import EmbeddedPostgres


def main() -> None:
    server = EmbeddedPostgres(Path(sys.argv[1]))
    dsn = asyncio.run(server.start())
    print(f"{int(server.adopted)} {dsn}", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
