"""One ServiceNow instance: records of its tables and their attachments, read and written one
request each, with basic credentials or an access token.

A write names its record by a sys_id that was looked at: without one the Table API would work on the
table. Nothing here repeats a request whose outcome is unknown.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlencode

from selfheal.apis.declined import Declined
from selfheal.apis.servicenow import failures
from selfheal.apis.servicenow.instance import grant
from selfheal.apis.servicenow.query import Condition, encoded
from selfheal.apis.target import request_options
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, NotFound
from selfheal.http import HttpClient, Response
from selfheal.text import one_line

Row = Dict[str, Any]
PAGE = 200
_MOST_PAGES = 50
_EARLY_S = 30.0  # a token is renewed so long before it ends
_SYS_ID = re.compile(r"[0-9a-zA-Z]{32}\Z")
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,79}\Z")
# The access tokens of this process, by who asks for them: (token, until when by the wall clock).
_tokens: Dict[str, Tuple[str, float]] = {}


def is_sys_id(text: str) -> bool:
    """Whether `text` can be the sys_id of one record."""
    return _SYS_ID.match(text) is not None


class Client:
    """Requests to the instance of `settings` (complete: see tickets.servicenow_settings). `hide` is
    told every access token, so that it is shown nowhere.
    """

    def __init__(
        self,
        http: HttpClient,
        settings: Mapping[str, Any],
        now: Callable[[], float],
        hide: Callable[[str], None],
    ) -> None:
        self.url = str(settings["url"])
        self._http, self._settings, self._now, self._hide = http, settings, now, hide
        self._grant = grant(settings)
        self._options = request_options(
            {key: value for key, value in settings.items() if key != "token"}
            if self._grant == "basic"
            else {key: settings.get(key) for key in ("timeout_s", "verify_tls", "ca_file")}
        )

    def page_of(self, table: str, sys_id: str) -> str:
        """Where people see the record."""
        return "%s/nav_to.do?uri=%s.do%%3Fsys_id%%3D%s" % (self.url, table, sys_id)

    def select(
        self,
        table: str,
        conditions: Sequence[Condition],
        fields: Sequence[str],
        *,
        order: Sequence[str] = ("sys_id",),
        limit: int = PAGE * _MOST_PAGES,
        display: str = "false",
        is_whole: bool = False,
    ) -> List[Row]:
        """All records that fulfil `conditions`, page by page, at most `limit`.

        Records that the user may not read leave gaps in the pages; with `is_whole` they are an
        error (ConfigError). Raises as failures.of.
        """
        query = {"sysparm_query": encoded(conditions, order), **_shape(fields, display)}
        found: List[Row] = []
        asked, start, total = "reading %s" % table, 0, None
        while start < limit and (total is None or start < total):
            size = min(PAGE, limit - start)
            query.update(sysparm_limit=str(size), sysparm_offset=str(start))
            answer = self._ask("GET", _path(table), query)
            if answer.status == 404 and failures.words(answer)[0] == "No Record found":
                break  # some instances say so instead of an empty list
            rows = self._result(answer, asked)
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise ExternalError("%s: %s gave no list of records" % (asked, answer.url))
            found += rows
            total, start = _total(answer), start + size
            if total is None and len(rows) < size:
                break
        if is_whole and total is not None and len(found) < min(total, limit):
            raise ConfigError(
                "%s: there are %d records, and the user may read %d of them: give it the right to "
                "read all" % (asked, total, len(found))
            )
        return found

    def get(
        self, table: str, sys_id: str, fields: Sequence[str], *, display: str = "false"
    ) -> Row:
        """One record. Raises NotFound, and as failures.of."""
        return self._record("GET", table, sys_id, "reading", _shape(fields, display))

    def newest(self, table: str, fields: Sequence[str]) -> Optional[Row]:
        """The newest record of a table, to see what may be read there; None when it is empty."""
        query = {
            "sysparm_query": "ORDERBYDESCsys_created_on", "sysparm_limit": "1",
            **_shape(fields, "false"),
        }
        asked = "reading %s" % table
        answer = self._ask("GET", _path(table), query)
        if answer.status == 404:
            return None
        rows = self._result(answer, asked)
        return _row(rows[0], asked) if isinstance(rows, list) and rows else None

    def insert(
        self, table: str, values: Mapping[str, str], fields: Sequence[str], *, display: str
    ) -> Row:
        """A new record, as it is then."""
        query = {**_shape(fields, display), "sysparm_input_display_value": "false"}
        asked = "creating a record of %s" % table
        answer = self._ask("POST", _path(table), query, json=dict(values))
        return _row(self._result(answer, asked), asked)

    def update(
        self,
        table: str,
        sys_id: str,
        values: Mapping[str, str],
        fields: Sequence[str],
        *,
        display: str = "false",
    ) -> Row:
        """Change some fields of one record; the record as it is then."""
        query = {**_shape(fields, display), "sysparm_input_display_value": "false"}
        return self._record("PATCH", table, sys_id, "changing", query, dict(values))

    def attachments(self, table: str, sys_id: str) -> List[Row]:
        """What is attached to one record: rows with sys_id, file_name, size_bytes."""
        query = {
            "sysparm_query": encoded(
                [("table_sys_id", "=", checked(sys_id)), ("table_name", "=", table)]
            ),
            "sysparm_limit": "1000",
        }
        asked = "listing the attachments of %s" % sys_id
        answer = self._ask("GET", "/api/now/attachment", query)
        if answer.status == 404:
            return []
        rows = self._result(answer, asked)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def attach(
        self, table: str, sys_id: str, name: str, content: bytes, media_type: str
    ) -> Row:
        """Attach a file to one record."""
        query = {
            "table_name": table,
            "table_sys_id": checked(sys_id),
            "file_name": one_line(name, 100) or "attachment",
        }
        asked = "attaching %s" % query["file_name"]
        answer = self._ask(
            "POST", "/api/now/attachment/file", query, body=content,
            headers={"Content-Type": media_type},
        )
        return _row(self._result(answer, asked), asked)

    def _record(
        self,
        method: str,
        table: str,
        sys_id: str,
        doing: str,
        query: Mapping[str, str],
        values: Optional[Mapping[str, str]] = None,
    ) -> Row:
        asked = "%s %s %s" % (doing, table, checked(sys_id))
        path = "%s/%s" % (_path(table), sys_id)
        answer = self._ask(method, path, query, json=values)
        row = _row(self._result(answer, asked), asked)
        if not row:
            raise NotFound("%s: there is nothing in it that the user may read" % asked)
        return row

    def _result(self, answer: Response, asked: str) -> Any:
        if not answer.ok:
            raise failures.of(answer, asked, self._now())
        body = answer.json()
        if not isinstance(body, dict) or "result" not in body:
            raise ExternalError("%s: %s gave no result" % (asked, answer.url))
        return body["result"]

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        json: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Response:
        url = "%s%s?%s" % (self.url, path, urlencode(query))
        answer, is_fresh = None, False
        while answer is None or (answer.status == 401 and not is_fresh and self._forget()):
            credentials, is_fresh = self._credentials()
            answer = self._http.request(
                method, url, json=json, body=body,
                **{
                    **self._options,
                    "headers": {
                        "Accept": "application/json", **credentials, **(headers or {}),
                    },
                },
            )
        return answer

    def _credentials(self) -> Tuple[Dict[str, str], bool]:
        """(the header that says who we are, whether it was made just now)."""
        if self._grant == "basic":
            return dict(self._options["headers"]), True
        token, until = _tokens.get(self._key(), ("", 0.0))
        is_fresh = not token or self._now() >= until
        if is_fresh:
            token = self._new_token()
        self._hide(token)
        return {"Authorization": "Bearer %s" % token}, is_fresh

    def _forget(self) -> bool:
        return _tokens.pop(self._key(), None) is not None

    def _key(self) -> str:
        """Who asks, without keeping a secret as a key."""
        parts = [self.url, self._grant] + [
            str(self._settings.get(name) or "")
            for name in ("client_id", "client_secret", "refresh_token", "username", "password")
        ]
        return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()

    def _new_token(self) -> str:
        names = {
            "client_credentials": (),
            "refresh_token": ("refresh_token",),
            "password": ("username", "password"),
        }[self._grant]
        form = {
            "grant_type": self._grant,
            **{
                name: str(self._settings.get(name) or "")
                for name in ("client_id", "client_secret", *names)
            },
        }
        options = dict(self._options)
        options["headers"] = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        try:
            answer = self._http.request(
                "POST", "%s/oauth_token.do" % self.url, body=urlencode(form).encode("ascii"),
                **options,
            )
        except ExternalError as error:
            raise Declined("no access token: %s" % error) from error
        if not answer.ok:
            raise failures.of_token(answer, self._now())
        body = answer.json()
        token = str(body.get("access_token") or "") if isinstance(body, dict) else ""
        if not token:
            raise ConfigError("%s answered without an access token" % answer.url)
        lasts = body.get("expires_in")
        lasts_s = float(lasts) if isinstance(lasts, (int, float)) else 300.0
        _tokens[self._key()] = (token, self._now() + max(lasts_s - _EARLY_S, 0.0))
        return token


def _path(table: str) -> str:
    if not _TABLE.match(table):
        raise InvalidInput("%s is no name of a table" % one_line(repr(table), 80))
    return "/api/now/table/%s" % table


def checked(sys_id: str) -> str:
    """`sys_id` when it can be one. Raises InvalidInput."""
    if not is_sys_id(sys_id):
        raise InvalidInput(
            "%s is no sys_id: give the 32 letters and digits of one record"
            % one_line(repr(sys_id), 80)
        )
    return sys_id


def _shape(fields: Sequence[str], display: str) -> Dict[str, str]:
    return {
        "sysparm_fields": ",".join(fields),
        "sysparm_display_value": display,
        "sysparm_exclude_reference_link": "true",
    }


def _row(result: Any, asked: str) -> Row:
    if not isinstance(result, dict):
        raise ExternalError("%s: the answer is no record" % asked)
    return result


def _total(answer: Response) -> Optional[int]:
    value = answer.headers.get("x-total-count", "")
    return int(value) if value.isdigit() else None
