"""A real search server for tests: noida-db, which answers as Elasticsearch 8.15, on a free loopback
port.

`Elasticsearch(directory).start()` answers once the port does; `index` writes documents at once
visible. `stop` and `start` keep port and data. `SecondOpinion` is osmem-server, an OpenSearch-like
one without a point in time.
"""

from __future__ import annotations

import importlib.util
import json
import urllib.request
from pathlib import Path

from tests import needs
from tests.live_server import Server

LOGS = "logstash-2026.11.22"
# Equal in all indices of the pattern, as a site's template makes it.
KEYWORD = {"type": "keyword", "ignore_above": 1024}
MAPPING = {
    "properties": {
        "@timestamp": {"type": "date"},
        "message": {"type": "text"},
        "level": KEYWORD,
        "program": KEYWORD,
        "host": {"properties": {"name": KEYWORD}},
        "kubernetes": {
            "properties": {"namespace": KEYWORD, "pod": {"properties": {"name": KEYWORD}}}
        },
    }
}


def binary(package: str, *parts: str) -> str:
    """The path of the server inside a Python package, started without the package's own wrapper,
    which does not hand a signal on.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.origin:
        needs.missing("the Python module %s is not installed" % package)
    path = Path(found.origin).parent.joinpath(*parts)
    path.chmod(0o755)
    return str(path)


class _Server(Server):
    """A process that speaks Elasticsearch's REST API on its own port."""

    def ask(self, method: str, path: str, body=None):
        """The JSON answered to one request; raises urllib's HTTPError for a refusal."""
        is_lines = isinstance(body, bytes)
        content = body if is_lines or body is None else json.dumps(body).encode("utf-8")
        kind = "application/x-ndjson" if is_lines else "application/json"
        request = urllib.request.Request(
            self.url + path, data=content, method=method, headers={"Content-Type": kind}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def create(self, index: str = LOGS, mapping=None) -> None:
        """Make an index with `mapping` (ours when not given)."""
        self.ask("PUT", "/" + index, {"mappings": mapping or MAPPING})

    def index(self, documents, index: str = LOGS, refresh: bool = True) -> None:
        """Write `documents`: sources, or pairs (id, source)."""
        lines = []
        for document in documents:
            about = {"_index": index}
            if isinstance(document, tuple):
                about["_id"], document = document
            lines.append('{"index":%s}\n%s\n' % (json.dumps(about), json.dumps(document)))
        for first in range(0, len(lines), 5000):
            chunk = "".join(lines[first:first + 5000]).encode("utf-8")
            answer = self.ask("POST", "/_bulk" + ("?refresh=true" if refresh else ""), chunk)
            if answer.get("errors"):
                raise RuntimeError("bulk: %s" % str(answer)[:500])

    def delete(self, index: str) -> None:
        """Delete an index."""
        self.ask("DELETE", "/" + index)


class Elasticsearch(_Server):
    """noida-db: search, point in time with `_shard_doc`, scroll, aggregations."""

    def command(self):
        return [
            binary("noida_db", "noida-db"),
            "start",
            "--data-dir",
            str(self.directory / "data"),
            "--only",
            "elasticsearch",
            "--elasticsearch-port",
            str(self.port),
        ]


class SecondOpinion(_Server):
    """osmem-server: OpenSearch-like, in memory, without a point in time."""

    def command(self):
        needs.python(3, 9)
        address = "127.0.0.1:%d" % self.port
        return [binary("osmem_server", "bin", "osmem-server"), "-addr", address, "-no-stdin-watch"]
