"""docs/architecture.md names every room of the library and every table of the store."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "actions" / "lib" / "selfheal"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def first_cells(heading):
    """The names in the first column of the table under the heading."""
    section = PAGE.partition("## %s\n" % heading)[2].partition("\n## ")[0]
    cells = re.findall(r"(?m)^\| (`.*?) \|", section)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_room_is_on_the_page():
    rooms = {path.stem for path in LIBRARY.glob("*") if path.suffix in ("", ".py")}
    assert first_cells("Rooms of the library") == rooms - {"__init__", "__pycache__"}


def test_every_table_is_on_the_page():
    made = set()
    for path in sorted((LIBRARY / "store" / "migrations").glob("*.sql")):
        script = path.read_text("utf-8")
        for verb, name, new in re.findall(
            r"(?m)^(CREATE TABLE|DROP TABLE|ALTER TABLE) (\w+)(?: RENAME TO (\w+))?", script
        ):
            if verb == "CREATE TABLE":
                made.add(name)
            elif verb == "DROP TABLE":
                made.discard(name)
            elif new:
                made.discard(name)
                made.add(new)
    assert first_cells("The store") == made
