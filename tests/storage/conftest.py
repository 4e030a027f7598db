"""Storage tests run against a real server; those under Qt's loop need no screen."""

import os

from tests.fixtures_postgres import *  # noqa: F403

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
