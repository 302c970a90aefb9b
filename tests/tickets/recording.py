"""Recorded requests of a tracker: kept as fixtures, compared with what is sent, shown on its page.

SELFHEAL_RECORD=1 writes the fixtures anew, for a look at the difference; `make docs` then writes
the page.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import urlencode

import yaml

from selfheal.config import Config

ROOT = Path(__file__).resolve().parents[2]
MARK = "msg-01jd5k3x9q-8f2k1z"


def fixtures(section):
    """The directory of the fixtures of `section`."""
    return ROOT / "tests" / "fixtures" / section


def page(section):
    """The text of its page."""
    return (ROOT / "docs" / "integrations" / (section + ".md")).read_text(encoding="utf-8")


def exchange(request, body):
    """A request of a stub with its answer, as JSON text. `body` is what is shown of its body."""
    query = "?" + urlencode(request["query"]) if request["query"] else ""
    shown = {
        "request": {"method": request["method"], "path": request["path"] + query, "body": body},
        "response": {"status": request["status"], "body": request["answer"]},
    }
    return json.dumps(shown, ensure_ascii=False)


def compare(found, path):
    """Whether `found` is what was recorded in `path`."""
    if os.environ.get("SELFHEAL_RECORD"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))


def names(section):
    """What was recorded."""
    return sorted(path.stem for path in fixtures(section).glob("*.json"))


def check_page_shows_all(section):
    """Every request that was recorded is on the page, with each field."""
    text = page(section)
    for path in fixtures(section).glob("*.json"):
        for one in json.loads(path.read_text(encoding="utf-8")):
            request = one["request"]
            assert "%s %s" % (request["method"], request["path"].partition("?")[0]) in text, path
            if isinstance(request["body"], dict):
                for name in request["body"]:
                    assert '"%s"' % name in text, (path, name)


def check_page_names_what_exists(section, *targets):
    """Settings and actions that the page names are there; `targets` are names that it makes up."""
    text, described = page(section), Config({}).schema[section]["properties"]
    for name in re.findall(r"`%s\.([a-z_]+)" % section, text):
        assert name in described, name
    for name in re.findall(r"selfheal\.(%s_[a-z_]+)" % section, text):
        assert (ROOT / "actions" / (name + ".yaml")).exists(), name
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        settings = yaml.safe_load(block).get(section, {})
        assert set(settings) - set(targets) <= set(described), block
