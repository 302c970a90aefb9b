"""The runbook shown in docs/extending.md is one that the pack takes."""

import re
from pathlib import Path

from selfheal.remedy.parsing import parse

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "extending.md"


def test_documented_runbook_is_valid():
    shown = re.search(r"```yaml\n(name: restart_web\n.*?)```", DOCUMENT.read_text("utf-8"), re.S)
    runbook = parse(shown.group(1).encode("utf-8"), "extending.md")
    assert [step.name for step in runbook.steps] == ["remove_stale_lock", "restart"]
