"""What an action asks of StackStorm's API, through the service that the wrapper gives it."""

import http.server
import json
import textwrap
import threading

import pytest

from tests.standalone.test_wrapper import BASE, run_file


@pytest.fixture
def run(tmp_path):
    def run_code(code, *arguments, **more):
        path = tmp_path / "entry.py"
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        return run_file(path, *arguments, **more)

    return run_code


# --- the datastore over the API


class _Keys(http.server.BaseHTTPRequestHandler):
    def _answer(self, code, body):
        self.server.seen.append((self.command, self.path, self.headers.get("X-Auth-Token")))
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        if self.path.startswith("/v1/keys?"):
            self._answer(
                200,
                [
                    {"name": name, "value": value}
                    for name, value in sorted(self.server.keys.items())
                ],
            )
            return
        name = self.path[len("/v1/keys/"):].split("?")[0]
        value = self.server.keys.get(name)
        self._answer(200 if value else 404, {"name": name, "value": value})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.keys[self.path[len("/v1/keys/"):]] = body["value"]
        self._answer(200, body)

    def do_DELETE(self):
        name = self.path[len("/v1/keys/"):].split("?")[0]
        self._answer(204 if self.server.keys.pop(name, None) else 404, None)

    def log_message(self, *arguments):
        """Silent."""


@pytest.fixture
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Keys)
    server.keys, server.seen = {}, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_action_service_speaks_to_the_api(run, api):
    api_url = "http://127.0.0.1:%d/v1" % api.server_port
    ran = run(
        BASE +
        textwrap.dedent("""\
        class A(Action):
            def run(self):
                kv = self.action_service
                return [
                    kv.set_value("x", {"a": 1}), kv.get_value("x"),
                    kv.set_value("shared.y", 5, local=False, ttl=60),
                    kv.get_value("x", local=False),
                    [pair.name for pair in kv.list_values(local=False)],
                    kv.delete_value("x"), kv.delete_value("x"), kv.get_value("x"),
                ]
        """),
        env={"ST2_ACTION_API_URL": api_url, "ST2_ACTION_AUTH_TOKEN": "tok"},
    )
    assert ran.result == [
        True,
        "{'a': 1}",
        True,
        None,
        ["mini.A%3Ax", "shared.y"],
        True,
        False,
        None,
    ]
    assert {token for _, _, token in api.seen} == {"tok"}


def test_an_api_that_is_down_looks_like_a_missing_value_and_fails_a_write(run):
    ran = run(
        BASE +
        textwrap.dedent("""\
        class A(Action):
            def run(self):
                found = self.action_service.get_value("x")
                try:
                    self.action_service.set_value("x", 1)
                except Exception as error:
                    return [found, type(error).__name__]
        """),
        env={"ST2_ACTION_API_URL": "http://127.0.0.1:9/v1"},
    )
    assert ran.result == [None, "URLError"]
