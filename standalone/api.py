"""The part of StackStorm's HTTP API that this pack, its senders and its people use, on the loopback
address.

Promises StackStorm's paths, credentials and status codes, and one of its weaknesses: a webhook body
over 16 MB is answered 202 and then lost, so that a pack which trusts its webhooks finds out here.
"""

from __future__ import annotations

import hmac
import http.client
import http.server
import json
import logging
import threading
import urllib.parse
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from standalone.rendering import SYSTEM_USER

LOG = logging.getLogger("standalone.api")
HOST = "127.0.0.1"
MAX_TRIGGER_BYTES = 16 * 1024 * 1024
"""What a document of StackStorm's database may hold."""
_CREDENTIALS = ("st2-api-key", "x-auth-token", "cookie")
_Answer = Tuple[int, Any]


class Refused(Exception):
    """A request that is not served; `status` is the answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server:
    """The API of one engine. Port 0 takes a free one."""

    def __init__(self, engine: Any, port: int = 0) -> None:
        self._handler = type("Handler", (_Handler,), {"engine": engine})
        self._port = port
        self._server: Optional[_HTTPServer] = None

    @property
    def url(self) -> str:
        """Where it answers, once it is started."""
        if self._server is None:
            raise RuntimeError("the engine has no address before start()")
        return "http://%s:%d/v1" % (HOST, self._server.server_address[1])

    def start(self) -> None:
        """Answers requests from now on. Raises OSError when the port is taken."""
        try:
            server = _HTTPServer((HOST, self._port), self._handler)
        except OSError as error:
            raise OSError(
                "Nothing can listen at %s port %d: %s; choose another port"
                % (HOST, self._port, error.strerror)
            ) from error
        threading.Thread(target=server.serve_forever, args=(0.05,), name="api", daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Closes the port; `url` still says where it was."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def post(
    url: str, body: Any, headers: Mapping[str, str], timeout_s: float = 60
) -> Tuple[int, bytes]:
    """POSTs bytes, or data as JSON: (status, answer). Raises OSError when nobody answers."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=timeout_s)
    try:
        path = parts.path + ("?" + parts.query if parts.query else "")
        given = {"Content-Type": "application/json"}
        given.update(headers)
        connection.request("POST", path, content, given)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class _HTTPServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Alertmanager and a burst of actions may all connect at once.
    request_queue_size = 128


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "selfheal-standalone"
    disable_nagle_algorithm = True
    wbufsize = 65536
    timeout = 60
    engine: Any = None

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug("%s %s", self.address_string(), format % args)

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        parts = urllib.parse.urlsplit(self.path)
        path = parts.path[4:] if parts.path.startswith("/api/v1/") else parts.path
        self._query = dict(urllib.parse.parse_qsl(parts.query))
        try:
            # Read first: an answer with the body left unread would garble the next request.
            self._body = self._read_body()
            status, answer = self._route(method, urllib.parse.unquote(path))
        except Refused as refused:
            status, answer = refused.status, {"faultstring": str(refused)}
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:
            LOG.exception("%s %s", method, path)
            status, answer = 500, {"faultstring": "%s: %s" % (type(error).__name__, error)}
        self._answer(status, answer)

    def _route(self, method: str, path: str) -> _Answer:
        if not path.startswith("/v1/"):
            raise Refused(404, "There is nothing at %s" % path)
        room, _, rest = path[4:].partition("/")
        routes: Dict[Tuple[str, str], Callable[[str], _Answer]] = {
            ("GET", "healthz"): self._health,
            ("POST", "webhooks"): self._webhook,
            ("GET", "webhooks"): self._webhooks,
            ("GET", "executions"): self._executions,
            ("POST", "executions"): self._execute,
            ("DELETE", "executions"): self._cancel,
            ("GET", "inquiries"): self._inquiries,
            ("PUT", "inquiries"): self._answer_inquiry,
            ("GET", "keys"): self._read_key,
            ("PUT", "keys"): self._write_key,
            ("DELETE", "keys"): self._delete_key,
            ("GET", "user"): self._user,
        }
        serve = routes.get((method, room))
        if serve is None:
            raise Refused(404, "There is nothing at %s %s" % (method, path))
        is_open = room == "healthz" or (
            room == "webhooks" and rest.strip("/") not in ("", "st2") and self.engine.open_webhooks
        )
        if not is_open:
            self._authenticate()
        return serve(rest)

    # ---- what is at each path

    def _health(self, _: str) -> _Answer:
        return 200, {
            "status": "ok",
            "pack": self.engine.pack.ref,
            "webhooks": self.engine.webhooks(),
        }

    def _webhooks(self, _: str) -> _Answer:
        return 200, self.engine.webhooks()

    def _webhook(self, name: str) -> _Answer:
        name = name.strip("/")
        if name == "st2":
            return self._inject()
        if name not in self.engine.webhooks():
            raise Refused(404, "Webhook %s not registered with st2" % name)
        body = self._parsed_body()
        if len(self._body) > MAX_TRIGGER_BYTES:
            LOG.warning(
                "webhook %s: a body of %d bytes is more than a trigger instance may hold; "
                "it is lost, as it would be on StackStorm",
                name,
                len(self._body),
            )
            self.engine.tell("webhook_lost", webhook=name, bytes=len(self._body))
            return 202, body
        headers = {
            key: value for key, value in self.headers.items() if key.lower() not in _CREDENTIALS
        }
        headers.pop("St2-Trace-Tag", None)
        self.engine.receive_webhook(name, body, headers)
        return 202, body

    def _inject(self) -> _Answer:
        body = self._parsed_body()
        if not isinstance(body, dict):
            raise Refused(400, "Webhook body needs to be an object, got: array")
        if not body.get("trigger"):
            raise Refused(400, "Trigger not specified.")
        try:
            self.engine.inject(str(body["trigger"]), body.get("payload"))
        except ValueError as error:
            raise Refused(400, str(error)) from None
        return 202, body

    def _executions(self, execution_id: str) -> _Answer:
        if execution_id:
            found = self.engine.execution(execution_id)
            if found is None:
                raise Refused(404, "There is no execution %s" % execution_id)
            return 200, found.as_json()
        records = list(reversed(self.engine.executions()))
        for key, of in (("action", "action_ref"), ("status", "status"), ("parent", "parent_id")):
            if key in self._query:
                records = [each for each in records if getattr(each, of) == self._query[key]]
        limit = self._query.get("limit", "50")
        if not limit.lstrip("-").isdigit():
            raise Refused(400, "limit must be a number, not %r" % limit)
        return 200, [each.as_json() for each in records[: int(limit) if int(limit) >= 0 else None]]

    def _execute(self, _: str) -> _Answer:
        body = self._parsed_body()
        if not isinstance(body, dict) or not isinstance(body.get("action"), str):
            raise Refused(400, 'An execution needs {"action": "pack.name", "parameters": {...}}')
        try:
            execution = self.engine.run(
                body["action"],
                body.get("parameters") or {},
                wait=False,
                context=self._said_context(body),
            )
        except ValueError as error:
            raise Refused(400, str(error)) from None
        return 201, execution.as_json()

    def _said_context(self, body: Mapping[str, Any]) -> Dict[str, Any]:
        """Who starts an execution. As on StackStorm, the sender may add to the context, and by a
        header even change who it is: where rights are not checked, a name is only a word.
        """
        context = dict(body.get("context") or {}, user=SYSTEM_USER)
        header = self.headers.get("st2-context")
        if header:
            added = json.loads(header)
            if not isinstance(added, dict):
                raise ValueError("Unable to convert st2-context from the headers into JSON")
            context.update(added)
        return context

    def _cancel(self, execution_id: str) -> _Answer:
        if self.engine.execution(execution_id) is None:
            raise Refused(404, "There is no execution %s" % execution_id)
        self.engine.cancel(execution_id)
        return 200, self.engine.execution(execution_id).as_json()

    def _inquiries(self, inquiry_id: str) -> _Answer:
        found = [
            dict(each.result or {}, id=each.id, parent=each.parent_id, task_name=each.task_name)
            for each in self.engine.pending_inquiries()
        ]
        if not inquiry_id:
            return 200, found
        for each in found:
            if each["id"] == inquiry_id:
                return 200, each
        raise Refused(404, "There is no inquiry %s that waits" % inquiry_id)

    def _answer_inquiry(self, inquiry_id: str) -> _Answer:
        body = self._parsed_body()
        if not isinstance(body, dict) or "response" not in body:
            raise Refused(400, 'An answer needs {"id": "...", "response": {...}}')
        known = self.engine.execution(inquiry_id)
        if known is None or known.runner_type != "inquirer":
            raise Refused(404, "There is no inquiry %s" % inquiry_id)
        try:
            self.engine.answer_inquiry(inquiry_id, body["response"])
        except ValueError as error:
            raise Refused(400, str(error)) from None
        return 200, {"id": inquiry_id, "response": body["response"]}

    def _read_key(self, name: str) -> _Answer:
        decrypt = self._query.get("decrypt", "").lower() in ("1", "true", "yes")
        if not name:
            entries = self.engine.store.list(self._query.get("prefix", ""), decrypt)
            return 200, [_key(entry) for entry in entries]
        entry = self.engine.store.entry(name, decrypt)
        if entry is None:
            raise Refused(404, "There is no key %s" % name)
        return 200, _key(entry)

    def _write_key(self, name: str) -> _Answer:
        body = self._parsed_body()
        if not name or not isinstance(body, dict) or "value" not in body:
            raise Refused(400, 'A key needs a name and {"value": "..."}')
        is_secret = bool(body.get("secret") or body.get("encrypted"))
        self.engine.store.set(name, body["value"], body.get("ttl"), is_secret)
        return 200, _key(self.engine.store.entry(name))

    def _delete_key(self, name: str) -> _Answer:
        if not self.engine.store.delete(name):
            raise Refused(404, "There is no key %s" % name)
        return 204, None

    def _user(self, _: str) -> _Answer:
        return 200, {
            "username": SYSTEM_USER,
            "rbac": {"enabled": False, "is_admin": True, "roles": []},
        }

    # ---- requests and answers

    def _authenticate(self) -> None:
        given = [
            self.headers.get("X-Auth-Token"),
            self.headers.get("St2-Api-Key"),
            self._query.get("x-auth-token"),
            self._query.get("st2-api-key"),
        ]
        secret = next((value for value in given if value), None)
        if secret is None:
            raise Refused(401, "Unauthorized - One of Token or API key required.")
        known = [self.engine.token] + sorted(self.engine.api_keys)
        if not any(
            hmac.compare_digest(secret.encode("utf-8"), each.encode("utf-8")) for each in known
        ):
            raise Refused(401, "Unauthorized - Invalid token or API key.")

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is None:
            if self.headers.get("Transfer-Encoding"):
                self.close_connection = True
                raise Refused(411, "Send a Content-Length, please")
            return b""
        if not length.isdigit():
            self.close_connection = True
            raise Refused(400, "Content-Length must be a number, not %r" % length)
        return self.rfile.read(int(length))

    def _parsed_body(self) -> Any:
        kind = (
            (self.headers.get("Content-Type") or "application/json")
            .partition(";")[0]
            .strip()
            .lower()
        )
        if kind == "application/x-www-form-urlencoded":
            return urllib.parse.parse_qs(self._body.decode("utf-8", "replace"))
        if kind != "application/json":
            raise Refused(400, "Unsupported Content-Type %s; send application/json" % kind)
        try:
            body = json.loads(self._body.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise Refused(400, "Failed to parse request body: %s" % error) from None
        if not isinstance(body, (dict, list)):
            raise Refused(
                400, "The body must be an object or an array, not %s" % type(body).__name__
            )
        return body

    def _answer(self, status: int, answer: Any) -> None:
        content = b"" if answer is None else json.dumps(answer, default=str).encode("utf-8")
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def _key(entry: Any) -> Dict[str, Any]:
    return {
        "name": entry.name,
        "value": entry.value,
        "encrypted": entry.encrypted,
        "scope": "st2kv.system",
        "expire_timestamp": entry.expires_at,
    }


__all__: List[str] = ["HOST", "MAX_TRIGGER_BYTES", "Refused", "Server", "post"]
