"""Between the pack and a real Alertmanager: keeps what went to and fro, and loses answers."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

from tests import scene

# What differs from run to run, and what stands for it.
_CHANGING = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
     "30483736-61c8-4c6c-9f2b-8178e203daf2"),
    (re.compile(r"sil-[0-9a-z]{10}-[0-9a-z]{6}"), "sil-01jd5k3x9q-8f2k1z"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "2026-11-22T12:00:00.000Z"),
)


class Proxy(scene.Receiver):
    """Passes requests on to `server`. `lose` drops so many answers to POST after they were made;
    `exchanges` are the pairs, as tests/fixtures keeps them.
    """

    def __init__(self, server):
        super().__init__()
        self.lose = 0
        self.exchanges = []
        self.on_request = lambda request: self._pass_on(server, request)

    def _pass_on(self, server, request):
        message = urllib.request.Request(
            server.url + request["path"],
            data=request["body"] or None,
            headers={"Content-Type": "application/json"},
            method=request["method"],
        )
        try:
            with urllib.request.urlopen(message, timeout=120) as answer:
                passed = (answer.status, {}, answer.read())
        except urllib.error.HTTPError as error:
            passed = (error.code, {}, error.read())
        self._keep(request, passed)
        if request["method"] == "POST" and self.lose:
            self.lose -= 1
            passed = (502, {}, b"gateway")
        self.answers = [passed]

    def _keep(self, request, passed):
        pair = {
            "request": {
                "method": request["method"],
                "path": request["path"],
                "body": _parsed(request["body"]),
            },
            "response": {"status": passed[0], "body": _parsed(passed[2])},
        }
        text = json.dumps(pair)
        for pattern, fixed in _CHANGING:
            text = pattern.sub(fixed, text)
        self.exchanges.append(json.loads(text))


def _parsed(body):
    try:
        return json.loads(body) if body.strip() else None
    except ValueError:
        return body.decode("utf-8", "replace")
