"""How a search service is reached: through the official client of its flavour, in plain JSON.

Elasticsearch 8's client marks its requests as compatible with 8 only, which 7.17 refuses, and
refuses what is not its own product. Its transport does neither when asked directly, and plain JSON
is what 7.17, 8, 9 and OpenSearch all take. A service without room is asked again, with patience
that ends. Refusals become errors in `elasticsearch_errors`.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from selfheal.apis.elasticsearch.failures import Answer, Crowded, failure
from selfheal.apis.target import request_options
from selfheal.exceptions import ConfigError, ExternalError, SelfhealError
from selfheal.text import one_line, without_credentials

PATIENCE_S = 30.0
_FIRST_WAIT_S = 0.5
_MOST_TRIES = 6
_PORTS = {"http": 80, "https": 443}
Send = Callable[[str, str, Optional[bytes], Dict[str, str]], Answer]


class Json:
    """Reads and writes JSON for either client, and knows how long the last answer was."""

    mimetype = "application/json"

    def __init__(self) -> None:
        self.size = 0

    def loads(self, data: Any) -> Any:
        """The value in `data`; text that is no JSON stays text, so that it can be shown."""
        self.size = len(data)
        try:
            return json.loads(data) if data else None
        except ValueError:
            text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
            return text[:2000]

    @staticmethod
    def dumps(data: Any) -> Any:
        """`data` as it goes out; what is bytes already stays."""
        return data if isinstance(data, (bytes, str)) else json.dumps(data).encode("ascii")


class Wire:
    """One target's connections. `sleep` and `spread` (0 to 1) are the clock and the dice."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        sleep: Callable[[float], None] = time.sleep,
        spread: Callable[[], float] = random.random,
    ) -> None:
        options = request_options({**settings, "token": None})
        self.timeout_s = float(options["timeout_s"])
        self._headers: Dict[str, str] = {"accept": "application/json", **options["headers"]}
        if settings.get("api_key"):
            self._headers["Authorization"] = "ApiKey %s" % settings["api_key"]
        if not all(v.isascii() and v.isprintable() for v in self._headers.values()):
            raise ConfigError(
                "elasticsearch.api_key holds a line break or a letter that cannot be sent"
            )
        self._urls = _addresses(settings.get("url"))
        self._tls = {"verify": options["verify_tls"], "ca_file": options["ca_file"]}
        self._flavour = str(settings.get("flavour") or "elasticsearch")
        self._sleep, self._spread = sleep, spread
        self._client: Any = None
        self._send: Optional[Send] = None

    @property
    def is_opensearch(self) -> bool:
        return self._flavour == "opensearch"

    def ask(
        self,
        method: str,
        path: str,
        body: Optional[Dict[str, Any]] = None,
        shrink: Optional[Callable[[], None]] = None,
        also: Tuple[int, ...] = (),
    ) -> Answer:
        """The answer to one question, when it is 2xx or one of `also`; else the error of its cause
        is raised.

        `body` is sent anew, and `shrink` called before, each time that the service had no room.
        """
        asked = "%s %s%s" % (method, self._urls[0], path.partition("?")[0])
        waited, tries = 0.0, 0
        while True:
            answer = self._once(method, path, body, asked)
            if 200 <= answer.status < 300 or answer.status in also:
                return answer
            error = failure(answer, asked)
            if not isinstance(error, Crowded):
                raise error
            tries += 1
            wait_s = self._wait(error, tries)
            if tries >= _MOST_TRIES or waited + wait_s > PATIENCE_S:
                raise error
            if shrink is not None:
                shrink()
            self._sleep(wait_s)
            waited += wait_s

    def close(self) -> None:
        """Close the connections; nothing happens when there are none."""
        client, self._client, self._send = self._client, None, None
        if client is not None:
            client.close()

    def _wait(self, error: Crowded, tries: int) -> float:
        if error.wait_s is not None:
            return error.wait_s + self._spread()  # not all who were told the same come at once
        return float(_FIRST_WAIT_S * 2 ** (tries - 1) * (0.5 + self._spread()))

    def _once(self, method: str, path: str, body: Optional[Dict[str, Any]], asked: str) -> Answer:
        if self._send is None:
            self._send = self._opensearch() if self.is_opensearch else self._elasticsearch()
        headers = dict(self._headers)
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(body).encode("ascii")
        try:
            return self._send(method, path, content, headers)
        except SelfhealError:
            raise
        except Exception as error:  # each client has its own, and none of ours
            raise _unreachable(error, asked, self.timeout_s) from error

    def _elasticsearch(self) -> Send:
        try:
            from elasticsearch import Elasticsearch
        except ImportError as error:
            raise _not_installed("elasticsearch", "elasticsearch>=8,<9", error) from error
        # Each request at level INFO, each failure with a traceback: ours says it once.
        logging.getLogger("elastic_transport").setLevel(logging.ERROR)
        reader = Json()
        options: Dict[str, Any] = {"meta_header": False, "serializers": {Json.mimetype: reader}}
        if any(url.startswith("https") for url in self._urls):
            options.update(verify_certs=self._tls["verify"], ssl_show_warn=False)
            if self._tls["ca_file"] and self._tls["verify"]:
                options["ca_certs"] = _readable(self._tls["ca_file"])
        client = Elasticsearch(hosts=self._urls, **options)
        self._client = client
        retries = len(self._urls) - 1  # another node, where there is one

        def send(method: str, path: str, body: Optional[bytes], headers: Dict[str, str]) -> Answer:
            reader.size = 0
            meta, answered = client.transport.perform_request(
                method,
                path,
                body=body,
                headers=headers,
                request_timeout=self.timeout_s,
                max_retries=retries,
                retry_on_status=(),
            )
            found = {str(name).lower(): value for name, value in meta.headers.items()}
            return Answer(meta.status, found, answered, reader.size)

        return send

    def _opensearch(self) -> Send:
        try:
            from opensearchpy import OpenSearch, TransportError
        except ImportError as error:
            raise _not_installed("opensearch", "opensearch-py>=2.4,<4", error) from error
        logging.getLogger("opensearch").setLevel(logging.ERROR)
        reader = Json()
        options: Dict[str, Any] = {"serializer": reader}
        if any(url.startswith("https") for url in self._urls):
            options.update(verify_certs=self._tls["verify"], ssl_show_warn=False)
            if self._tls["ca_file"] and self._tls["verify"]:
                options["ca_certs"] = _readable(self._tls["ca_file"])
        client = OpenSearch(
            hosts=self._urls,
            timeout=self.timeout_s,
            max_retries=len(self._urls) - 1,
            retry_on_status=(),
            **options,
        )
        self._client = client

        def send(method: str, path: str, body: Optional[bytes], headers: Dict[str, str]) -> Answer:
            reader.size = 0
            try:
                answered = client.transport.perform_request(
                    method, path, body=body, headers=headers
                )
            except TransportError as error:
                if not isinstance(error.status_code, int):
                    raise
                return Answer(error.status_code, {}, error.info or error.error)
            return Answer(200, {}, answered, reader.size)

        return send


def _addresses(value: Any) -> List[str]:
    """The nodes' URLs, each with its port. Raises ConfigError."""
    found = []
    for part in str(value or "").split(","):
        url = part.strip()
        shown = without_credentials(url)
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme)
        except ValueError as error:
            raise ConfigError("elasticsearch.url %r: %s" % (shown, error)) from None
        if parts.scheme not in _PORTS or port is None or not parts.hostname:
            raise ConfigError(
                "elasticsearch.url %r is not an address: write http://host:9200 or "
                "https://host:9200, several separated by commas" % shown
            )
        if "@" in parts.netloc:
            raise ConfigError(
                "elasticsearch.url %s holds credentials: write them into elasticsearch.username "
                "and password, or api_key" % shown
            )
        if parts.query or parts.fragment:
            raise ConfigError(
                "elasticsearch.url %s goes on after its path with ? or #, which is never sent: "
                "write credentials into elasticsearch.username and password, or api_key"
                % re.split("[?#]", shown)[0]
            )
        host = "[%s]" % parts.hostname if ":" in parts.hostname else parts.hostname
        found.append("%s://%s:%d%s" % (parts.scheme, host, port, parts.path.rstrip("/")))
    return found


def _readable(path: str) -> str:
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        raise ConfigError(
            "cannot read elasticsearch.ca_file %r: %s" % (path, error.strerror)
        ) from error


def _not_installed(flavour: str, package: str, error: ImportError) -> ConfigError:
    return ConfigError(
        "elasticsearch.flavour is %s, and its client cannot be imported (%s): install %r in the "
        "pack's virtualenv: /opt/stackstorm/virtualenvs/selfheal/bin/pip install '%s'"
        % (flavour, error, package, package)
    )


def _unreachable(error: Exception, asked: str, timeout_s: float) -> SelfhealError:
    """What a connection that did not come about, or broke, means."""
    inner = [str(one) for one in getattr(error, "errors", ())]  # elastic_transport's own say less
    said = one_line(" ".join([str(getattr(error, "message", "") or error), *inner]), 300)
    name, text = type(error).__name__, said.lower()
    if "certificate" in text or "hostname" in text and "match" in text:
        return ConfigError(
            "%s failed: the server's certificate is not trusted (%s); set elasticsearch.ca_file to "
            "the authority that signed it, or correct the host name in elasticsearch.url"
            % (asked, said)
        )
    if name in ("TlsError", "SSLError") or "ssl" in text or "tls" in text:
        return ConfigError(
            "%s failed: no TLS connection (%s); is elasticsearch.url meant to be http://, or is "
            "there a proxy between?" % (asked, said)
        )
    if "timeout" in name.lower() or "timed out" in text:
        return ExternalError(
            "%s failed: no whole answer within %g s; is the service overloaded? "
            "elasticsearch.timeout_s is how long it may take" % (asked, timeout_s)
        )
    if "aborted" in text or "closed connection" in text or "badstatusline" in text:
        return ExternalError(
            "%s failed: the connection was closed without a whole answer (%s); did the service "
            "stop, or is elasticsearch.url meant to be https://?" % (asked, said)
        )
    return ExternalError(
        "%s failed: %s; check that the service runs and that this host may reach it" % (asked, said)
    )
