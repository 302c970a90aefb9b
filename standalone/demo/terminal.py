"""Lines for people: coloured and alive on a terminal, plain ASCII in a pipe or a file.

Respects NO_COLOR, TERM=dumb and the terminal's width. Knows nothing of incidents; that is `view`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from typing import IO, Dict, List, Mapping, Optional, Sequence

COLOURS = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
}
FANCY = {
    "good": "✔",
    "bad": "✘",
    "alert": "▲",
    "rule": "→",
    "ask": "?",
    "mail": "✉",
    "up": "●",
    "note": "·",
}
PLAIN = {
    "good": "+",
    "bad": "x",
    "alert": "!",
    "rule": ">",
    "ask": "?",
    "mail": "@",
    "up": "*",
    "note": "-",
}
SPINNER = "◐◓◑◒"
_ASCII = str.maketrans(
    {
        "…": "...",
        "→": "->",
        "—": "-",
        "–": "-",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "\u2060": "",
    }
)
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
MAX_WIDTH = 120
NARROWEST = 40


class Terminal:
    """Writes to `stream`. `is_live` says whether somebody watches who can see a line change."""

    def __init__(
        self, stream: Optional[IO[str]] = None, environment: Optional[Mapping[str, str]] = None
    ) -> None:
        self._stream = stream if stream is not None else sys.stdout
        env = os.environ if environment is None else environment
        self.is_live = self._stream.isatty() and env.get("TERM", "") not in ("", "dumb")
        self._is_coloured = self.is_live and not env.get("NO_COLOR")
        encoding = (getattr(self._stream, "encoding", None) or "ascii").lower()
        self._is_unicode = self.is_live and encoding.replace("-", "") == "utf8"
        self._has_status = False
        self.signs: Dict[str, str] = FANCY if self._is_unicode else PLAIN

    @property
    def width(self) -> Optional[int]:
        """Columns to fill, or None when lines are not to be broken."""
        if not self._stream.isatty():
            return None
        return max(NARROWEST, min(MAX_WIDTH, shutil.get_terminal_size((80, 24)).columns))

    def style(self, text: str, *styles: str) -> str:
        """`text` in those colours, where there are colours."""
        codes = [COLOURS[name] for name in styles]
        return (
            "\x1b[%sm%s\x1b[0m" % (";".join(codes), text) if self._is_coloured and codes else text
        )

    def clean(self, text: str) -> str:
        """`text` on one line, without anything that a terminal would act on or that the stream
        cannot hold.
        """
        text = _CONTROL.sub(" ", text)
        if self._is_unicode:
            return text.translate({0x2060: None})
        return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")

    def wrap(self, text: str, indent: int) -> List[str]:
        """`text` in lines that fit beside `indent` columns."""
        width = self.width
        if width is None:
            return [self.clean(text)]
        return textwrap.wrap(
            self.clean(text), max(NARROWEST // 2, width - indent - 1), break_on_hyphens=False
        ) or [""]

    def write(self, line: str = "") -> None:
        """One finished line."""
        self.clear_status()
        self._stream.write(line + "\n")
        self._stream.flush()

    def prompt(self, text: str) -> None:
        """Text that an answer is typed behind."""
        self.clear_status()
        self._stream.write(text)
        self._stream.flush()

    def status(self, text: str, turn: int) -> None:
        """A last line that the next one replaces; nothing where nobody watches."""
        if not self.is_live:
            return
        spinner = SPINNER[turn % len(SPINNER)] if self._is_unicode else "|/-\\"[turn % 4]
        line = self.clean(text)[: (self.width or 80) - 14]
        self._stream.write("\r\x1b[2K%s" % self.style("%s %s" % (" " * 8 + spinner, line), "cyan"))
        self._stream.flush()
        self._has_status = True

    def clear_status(self) -> None:
        """Takes the last line away."""
        if self._has_status:
            self._stream.write("\r\x1b[2K")
            self._has_status = False

    def table(self, rows: Sequence[Sequence[str]], styles: Sequence[Sequence[str]]) -> None:
        """Rows of text; the last column is broken to fit. `styles` are those of each column."""
        cells = [[self.clean(cell) for cell in row[:-1]] for row in rows]
        widths = [max((len(row[at]) for row in cells), default=0) for at in range(len(styles) - 1)]
        indent = 2 + sum(width + 2 for width in widths)
        for row, shown in zip(rows, cells):
            lines = self.wrap(row[-1], indent)
            parts = [
                self.style(cell.ljust(width), *style)
                for cell, width, style in zip(shown, widths, styles)
            ]
            self.write("  " + "  ".join(parts + [self.style(lines[0], *styles[-1])]).rstrip())
            for line in lines[1:]:
                self.write(" " * indent + self.style(line, *styles[-1]))
