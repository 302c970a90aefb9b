"""What of the pack is on, reachable and permitted, and what to do about what is not.

Asks each configured system one harmless question. Nothing is changed, no message is sent; the write
to the store is rolled back.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from selfheal.apis.target import request_options
from selfheal.config import target_key
from selfheal.exceptions import ConfigError, SelfhealError
from selfheal.operate import (
    check_elasticsearch,
    check_guard,
    check_jira,
    check_kubernetes,
    check_log_files,
    check_notify,
    check_outbox,
    check_servicenow,
    check_silences,
    configuration,
)
from selfheal.remedy import catalogue
from selfheal.store.files import PLATFORM_USER
from selfheal.store.opening import schema_version
from selfheal.text import counted, one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.store import Store

ON, OFF, ERROR, WARNING = "on", "off", "error", "warning"
LONGEST_WAIT_S = 10.0
Line = Dict[str, str]


def check_config(ctx: Context) -> Dict[str, Any]:
    """Check everything that is configured.

    Returns {"ok", "table": [{"what", "state": on|off|error|warning, "detail", "do"}], "problems":
    [text]}. `ok` is False when there is a problem; a warning is none.
    """
    problems = _configuration(ctx)
    table = [
        *(
            [
                _line(
                    "configuration",
                    ERROR,
                    "%s, listed below" % counted(len(problems), "problem"),
                    "mend the configuration, then st2ctl reload --register-configs",
                )
            ]
            if problems
            else [_line("configuration", ON, "valid")]
        ),
        *_store(ctx),
        *_http_section(
            ctx,
            "alertmanager",
            "/api/v2/status",
            "alerts are only taken by webhook, never reconciled",
        ),
        *(_line(*one) for one in check_silences.lines(ctx, LONGEST_WAIT_S)),
        *_http_section(
            ctx, "prometheus", "/api/v1/status/buildinfo", "verification cannot ask Prometheus"
        ),
        *(_line(*one) for one in check_elasticsearch.lines(ctx, LONGEST_WAIT_S)),
        *(_line(*one) for one in check_log_files.lines(ctx)),
        *(_line(*one) for one in check_kubernetes.lines(ctx, LONGEST_WAIT_S)),
        *(_line(*one) for one in check_servicenow.lines(ctx, LONGEST_WAIT_S)),
        *(_line(*one) for one in check_jira.lines(ctx, LONGEST_WAIT_S)),
        *_classification(ctx),
        *(_line(*one) for one in check_notify.lines(ctx, LONGEST_WAIT_S)),
        *_runbooks(ctx),
        *(_line(*one) for one in check_guard.lines(ctx)),
        *(_line(*one) for one in check_outbox.lines(ctx)),
    ]
    problems += [
        "%s: %s%s" % (line["what"], line["detail"], "; %s" % line["do"] if line["do"] else "")
        for line in table
        if line["state"] == ERROR and line["what"] != "configuration"
    ]
    return {"ok": not problems, "table": table, "problems": problems}


def _line(what: str, state: str, detail: str, do: str = "") -> Line:
    return {"what": what, "state": state, "detail": one_line(detail, 600), "do": do}


def _configuration(ctx: Context) -> List[str]:
    try:
        return configuration.problems(ctx.config.values, ctx.config.schema)
    except ConfigError as error:
        return [str(error)]


def _store(ctx: Context) -> List[Line]:
    try:
        store = ctx.store
        version = schema_version(store)
        _try_writing(store)
    except SelfhealError as error:
        return [
            _line(
                "store",
                ERROR,
                str(error),
                "mend database.url; until then nothing can be recorded or healed",
            )
        ]
    dialect = store.dialect
    lines = [_line("store", ON, "%s, schema version %d, writable" % (dialect.shown_url, version))]
    return lines + _sqlite_lines(dialect.path) if dialect.name == "sqlite" else lines


class _Undo(Exception):
    """Ends a transaction without keeping it."""


def _try_writing(store: Store) -> None:
    now = store.now()
    row = {"name": "check_config", "value": "1", "updated_at": now}
    try:
        with store.transaction("check_config"):
            store.insert(
                "checkpoints",
                row,
                "ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at",
            )
            raise _Undo
    except _Undo:
        pass  # it could be written: all we wanted to know


def _sqlite_lines(path: str) -> List[Line]:
    lines = [
        _line(
            "store: one node",
            WARNING,
            "SQLite is a file on this machine: a second StackStorm node would not see its "
            "incidents, and both could treat the same alert",
            "with more than one node set database.url to postgresql://user@host/name; with one, "
            "nothing",
        )
    ]
    reason = _unshared(Path(path))
    if reason:
        lines.append(
            _line(
                "store: rights",
                WARNING,
                reason,
                "let both root (actions) and %s (sensors) write there: chown %s:%s "
                "%s, chmod 770" % (PLATFORM_USER, PLATFORM_USER, PLATFORM_USER, Path(path).parent),
            )
        )
    return lines


def _unshared(path: Path) -> str:
    """Why StackStorm's sensor container could not write the database; empty when it can, or no such
    user is here.
    """
    try:
        import pwd

        user = pwd.getpwnam(PLATFORM_USER)
    except (ImportError, KeyError):
        return ""
    for place in (path.parent, path):
        try:
            found = place.stat()
        except OSError as error:
            return "%s cannot be looked at: %s" % (place, error.strerror)
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        is_writable = (
            (found.st_uid == user.pw_uid and found.st_mode & stat.S_IWUSR) or
            (found.st_gid in groups and found.st_mode & stat.S_IWGRP) or
            found.st_mode & stat.S_IWOTH
        )
        if not is_writable:
            return "%s (mode %o) cannot be written by the user %s" % (
                place,
                stat.S_IMODE(found.st_mode),
                PLATFORM_USER,
            )
    return ""


def _http_section(ctx: Context, section: str, path: str, without: str) -> List[Line]:
    try:
        targets = ctx.config.targets(section)
    except ConfigError as error:
        return [_line(section, ERROR, str(error), "write a map with at least %s.url" % section)]
    if not targets:
        return [_line(section, OFF, "%s.url is not set: %s" % (section, without))]
    return [
        _http_target(ctx, section, name, settings, path)
        for name, settings in sorted(targets.items())
    ]


def _http_target(
    ctx: Context, section: str, name: str, settings: Mapping[str, Any], path: str
) -> Line:
    what = target_key(section, name)
    key = "%s.url" % what
    url = str(settings["url"]).rstrip("/")
    reason = configuration.url_problem(str(settings["url"]))
    if reason:
        return _line(
            what, ERROR, "%s %r cannot be used: %s" % (key, url, reason), "correct %s" % key
        )
    try:
        options = request_options(settings)
        options["timeout_s"] = min(options["timeout_s"], LONGEST_WAIT_S)
        answer = ctx.http.request("GET", url + path, **options)
    except SelfhealError as error:
        return _line(
            what,
            ERROR,
            "%s: %s" % (key, error),
            "check %s, that the service runs, and that this host may reach it" % key,
        )
    if answer.status in (401, 403):
        return _line(
            what,
            ERROR,
            "%s answered %d: not permitted" % (answer.url, answer.status),
            "set %s.token, or %s.username and %s.password" % (what, what, what),
        )
    if not answer.ok:
        return _line(
            what,
            ERROR,
            "%s answered %d: %s" % (answer.url, answer.status, answer.text(120)),
            "check that %s is %s's base URL, with its path prefix if it has one" % (key, section),
        )
    return _line(what, *_version_of(section, answer, key))


def _version_of(section: str, answer: Any, key: str) -> Tuple[str, str, str]:
    """(state, detail, do) by what a service that answered says of itself."""
    try:
        body = answer.json()
        info = body["versionInfo"] if section == "alertmanager" else body["data"]
        return ON, "%s answers, version %s" % (answer.url, one_line(str(info["version"]), 40)), ""
    except (SelfhealError, KeyError, TypeError):
        return (
            ERROR,
            "%s answers, but not as %s does: %s" % (answer.url, section, answer.text(80)),
            ("%s must be %s's base URL" % (key, section)),
        )


def _classification(ctx: Context) -> List[Line]:
    what = "monitoring.classification_paths"
    paths = ctx.config.get(what)
    if not paths or not isinstance(paths, (list, tuple)):
        return []  # none, or a problem of the configuration
    from selfheal.errors.classify import Rules  # dear to import, and few have rules of their own

    try:
        Rules.load([str(path) for path in paths])
    except ConfigError as error:
        return [_line(what, ERROR, str(error), "mend it; until then no errors are looked for")]
    return [_line(what, ON, "the rules in %s are asked first" % ", ".join(map(str, paths)))]


def _runbooks(ctx: Context) -> List[Line]:
    try:
        paths = catalogue.search_paths(ctx.config)
    except ConfigError as error:
        return [_line("runbooks", ERROR, str(error), "correct resolver.runbook_paths")]
    loaded = catalogue.load(paths)
    shadowed = "".join(
        "; %s is hidden by an earlier runbook of the same name" % path for path in loaded.shadowed
    )
    lines = [
        _line(
            "runbooks", ON, "%d usable in %s%s" % (len(loaded.runbooks), ", ".join(paths), shadowed)
        )
    ]
    return lines + [
        _line(
            "runbook %s" % broken.path,
            ERROR,
            broken.error,
            "mend or remove it; until then it is not used",
        )
        for broken in loaded.broken
    ]
