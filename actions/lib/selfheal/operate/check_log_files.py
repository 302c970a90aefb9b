"""Which log files are followed, and which of those that are meant cannot be.

Looks at names and kinds only. Whether the sensor may read them is the sensor's to say: it runs as
another user.
"""

from __future__ import annotations

import os
from glob import glob
from typing import TYPE_CHECKING, List, Tuple

from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.context import Context

WHAT = "log_files"
_SHOWN = 10
Row = Tuple[str, str, str, str]


def lines(ctx: Context) -> List[Row]:
    """(what, state, detail, do) for section log_files, as in `check_config`."""
    paths = ctx.config.get("log_files.paths") or []
    if not isinstance(paths, (list, tuple)):
        return [(WHAT, "error", "log_files.paths must be a list, not %r" % (paths,), "write [...]")]
    if not paths:
        return [(WHAT, "off", "log_files.paths is empty: no log files are followed", "")]
    from selfheal.intake.files import sources as log_sources

    patterns = [str(path) for path in paths]
    found, refused = log_sources.expand(patterns, [])
    detail = "%s on this machine" % counted(len(found), "file")
    do = "correct log_files.paths, if the file should be there by now"
    rows: List[Row] = [(WHAT, "on", detail, "")]
    if not found:
        rows = [(WHAT, "warning", "the patterns mean no file on this machine", do)]
    absent = [one for one in patterns if os.path.isabs(one) and not glob(one, recursive=True)]
    for pattern in absent[:_SHOWN] if found else ():
        rows.append((WHAT, "warning", "%s: no such file on this machine" % pattern, do))
    for path, reason in sorted(refused.items())[:_SHOWN]:
        rows.append((WHAT, "warning", "%s %s" % (path, reason), "correct log_files.paths"))
    return rows
