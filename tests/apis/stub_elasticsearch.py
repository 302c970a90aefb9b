"""A strict stand-in for what the real search server of the tests cannot do, written from the public
REST documentation of Elasticsearch 7.17, 8, 9 and OpenSearch.

It knows versions and their handshakes, credentials, which parameters and body keys a request may
have, and it fails as told. It holds documents as (milliseconds, source) and finds them by the time
range alone: what the query means is the real server's to show.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

SEARCH_PARAMETERS = {
    "allow_no_indices",
    "ignore_unavailable",
    "allow_partial_search_results",
    "scroll",
}
SEARCH_BODY = {
    "size",
    "query",
    "sort",
    "search_after",
    "pit",
    "aggs",
    "track_total_hits",
    "_source",
    "timeout",
}
COMPATIBLE = "application/vnd.elasticsearch+json"
MOST_AT_ONCE = 10000
CAPS = {
    "@timestamp": {"date": {"type": "date", "searchable": True, "aggregatable": True}},
    "message": {"text": {"type": "text", "searchable": True, "aggregatable": False}},
}


def error_body(status, kind, reason):
    """An error as Elasticsearch writes it."""
    cause = {"type": kind, "reason": reason}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


class Refusal(Exception):
    """Ends a request with an error."""

    def __init__(self, status, kind, reason, headers=None):
        super().__init__(reason)
        self.answer = (status, headers or {}, error_body(status, kind, reason))


class Stub:
    """The server. `version` is 7.17.x, 8.x, 9.x or, with `is_opensearch`, OpenSearch's own.

    `fail` queues answers for requests whose path ends so: a number of them, or all that follow.
    """

    def __init__(self, version="8.15.0", is_opensearch=False, documents=(), credentials=None):
        self.version, self.is_opensearch = version, is_opensearch
        self.documents = sorted(documents, key=lambda one: one[0])
        self.credentials = credentials  # the whole Authorization header
        self.has_pit, self.has_shard_doc = True, True
        self.window = MOST_AT_ONCE
        self.caps = dict(CAPS)
        self.health = {
            "cluster_name": "logs",
            "status": "green",
            "unassigned_shards": 0,
            "number_of_nodes": 3,
        }
        self.requests = []
        self.views = {}
        self.reshape = lambda body: body  # what a search's answer becomes
        self._failures = deque()
        self._names = 0
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, more, body = stub.answer(self.command, self.path, headers, raw)
                content = body if isinstance(body, bytes) else json.dumps(body).encode("ascii")
                self.send_response(status)
                kind = "text/html" if isinstance(body, bytes) else "application/json"
                for name, value in {"Content-Type": kind, **stub.product(), **more}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_DELETE = do_POST

            def log_message(self, *_ignored):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def fail(self, path_end, status, body=None, headers=None, times=1):
        """Answer the next `times` requests to a path that ends in `path_end` like this."""
        self._failures.append([path_end, status, headers or {}, body or {}, times])

    def asked(self, path_end=""):
        """The requests to paths that end so, each with method, path, parameters, headers, body."""
        return [one for one in self.requests if one["path"].endswith(path_end)]

    def expire(self):
        """Forget every point in time and scroll."""
        self.views.clear()

    def wrap(self, tls):
        """Speak TLS from now on, by the server-side SSLContext `tls`."""
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self):
        return self

    def __exit__(self, *_ignored):
        self._server.shutdown()
        self._server.server_close()

    def product(self):
        """The header by which a client knows Elasticsearch since 7.14."""
        return {} if self.is_opensearch else {"X-Elastic-Product": "Elasticsearch"}

    def answer(self, method, target, headers, raw):
        """(status, headers, body) of one request."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        parameters = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        body = json.loads(raw) if raw else None
        self.requests.append(
            {
                "method": method,
                "path": path,
                "parameters": parameters,
                "headers": headers,
                "body": body,
            }
        )
        try:
            self._check_headers(headers, body)
            for failure in list(self._failures):
                if path.endswith(failure[0]):
                    failure[4] -= 1
                    if failure[4] <= 0:
                        self._failures.remove(failure)
                    return failure[1], failure[2], failure[3]
            return 200, {}, self._route(method, path, parameters, body)
        except Refusal as refusal:
            return refusal.answer

    def _check_headers(self, headers, body):
        for name in ("accept", "content-type"):
            value = headers.get(name, "")
            if "vnd.elasticsearch" in value:
                major = self.version.split(".")[0]
                asked = value.partition("compatible-with=")[2]
                if self.is_opensearch:
                    raise Refusal(
                        406, "status_exception", "%s [%s] is not supported" % (name, value)
                    )
                if asked not in (major, str(int(major) - 1)):
                    raise Refusal(
                        400,
                        "media_type_header_exception",
                        "Invalid media-type value on headers [%s]" % name,
                    )
        if body is not None and "json" not in headers.get("content-type", ""):
            raise Refusal(406, "status_exception", "Content-Type header is missing")
        if self.credentials and headers.get("authorization") != self.credentials:
            reason = "missing authentication credentials for REST request"
            raise Refusal(401, "security_exception", reason)

    def _route(self, method, path, parameters, body):
        if path == "/" and method == "GET":
            number = {"number": self.version}
            if self.is_opensearch:
                number["distribution"] = "opensearch"
            return {"name": "stub", "version": number, "tagline": "You Know, for Search"}
        if path.startswith("/_cluster/health/") and method == "GET":
            self._only(parameters, {"timeout"})
            return self.health
        if path.endswith("/_field_caps") and method == "GET":
            self._only(parameters, {"fields", "allow_no_indices", "include_unmapped"})
            names = parameters["fields"].split(",")
            found = {name: self.caps[name] for name in names if name in self.caps}
            return {"indices": ["logstash-1", "logstash-2"], "fields": found}
        pit = "/_search/point_in_time" if self.is_opensearch else "/_pit"
        if self.has_pit and path.endswith(pit):
            return self._pit(method, path[: -len(pit)], parameters, body)
        if path == "/_search/scroll":
            return self._next_scroll(method, body)
        if path.endswith("/_search") and method == "POST":
            return self.reshape(self._search(path[: -len("/_search")], parameters, body))
        raise Refusal(
            400,
            "illegal_argument_exception",
            "no handler found for uri [%s] and method [%s]" % (path, method),
        )

    @staticmethod
    def _only(given, allowed):
        unknown = sorted(set(given) - allowed)
        if unknown:
            raise Refusal(
                400,
                "illegal_argument_exception",
                "request contains unrecognized parameter: [%s]" % unknown[0],
            )

    def _keep(self, documents):
        self._names += 1
        name = "view-%d" % self._names
        self.views[name] = documents
        return name

    def _pit(self, method, index, parameters, body):
        if method == "DELETE":
            given = body["pit_id"] if self.is_opensearch else [body["id"]]
            if self.views.pop(given[0], None) is None:
                raise Refusal(404, "resource_not_found_exception", "no such point in time")
            return {"succeeded": True, "num_freed": 1}
        self._only(parameters, {"keep_alive"})
        if not index:
            raise Refusal(400, "action_request_validation_exception", "[index] is not specified")
        name = self._keep(list(self.documents))
        return {"pit_id" if self.is_opensearch else "id": name}

    def _search(self, index, parameters, body):
        self._only(parameters, SEARCH_PARAMETERS)
        self._only(body, SEARCH_BODY)
        if body["size"] > self.window:
            raise Refusal(
                400,
                "illegal_argument_exception",
                "Result window is too large, from + size must be less than or equal to: "
                "[%d] but was [%d]" % (self.window, body["size"]),
            )
        documents = self.documents
        if "pit" in body:
            if index:
                raise Refusal(
                    400,
                    "action_request_validation_exception",
                    "[indices] cannot be used with point in time",
                )
            if body["pit"]["id"] not in self.views:
                raise Refusal(404, "search_context_missing_exception", "No search context found")
            documents = self.views[body["pit"]["id"]]
        sorts = [next(iter(one)) for one in body.get("sort", [])]
        if "_shard_doc" in sorts and ("pit" not in body or not self.has_shard_doc):
            raise Refusal(
                400,
                "query_shard_exception",
                "No mapping found for [_shard_doc] in order to sort on",
            )
        found = self._in_range(documents, body)
        total = len(found)
        if "search_after" in body:
            after = tuple(body["search_after"])
            found = [one for one in found if tuple(one["sort"]) > after]
        answer = self._page(found[: body["size"]], total)
        if "pit" in body:  # its id may change with every answer
            name = self._keep(self.views.pop(body["pit"]["id"]))
            answer["pit_id"] = name
        if parameters.get("scroll"):
            answer["_scroll_id"] = self._keep((found[body["size"]:], total, body["size"]))
        return answer

    def _next_scroll(self, method, body):
        if method == "DELETE":
            for name in body["scroll_id"]:
                self.views.pop(name, None)
            return {"succeeded": True}
        if body["scroll_id"] not in self.views:
            raise Refusal(404, "search_context_missing_exception", "No search context found")
        found, total, size = self.views.pop(body["scroll_id"])
        answer = self._page(found[:size], total)
        answer["_scroll_id"] = self._keep((found[size:], total, size))
        return self.reshape(answer)

    @staticmethod
    def _in_range(documents, body):
        span = next(iter(body["query"]["bool"]["filter"][0]["range"].values()))
        assert span["format"] == "epoch_millis"
        hits = []
        for number, (at, source) in enumerate(documents):
            if span["gte"] <= at < span["lt"]:
                hits.append(
                    {
                        "_index": "logstash-1",
                        "_id": "d%d" % number,
                        "_score": None,
                        "_source": source,
                        "sort": [at, number],
                    }
                )
        return hits

    @staticmethod
    def _page(hits, total):
        return {
            "took": 1,
            "timed_out": False,
            "_shards": {"total": 2, "successful": 2, "skipped": 0, "failed": 0},
            "hits": {"total": {"value": total, "relation": "eq"}, "hits": hits},
        }
