"""The audit trail for those who keep it: verify that nothing was rewritten, and seal what happened.

The hash of the last seal vouches for all before it, once it is kept where who can write the
database cannot: it is logged every hour, and both functions here return it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict

from selfheal.exceptions import InvalidInput, NotFound
from selfheal.ids import is_id
from selfheal.store import checkpoints, seals
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context

ALL = "all"
LOG_EVERY_S = 3600.0
_LOGGED = "audit_seal_logged"
_HASH = re.compile(r"[0-9a-f]{64}\Z")


def audit_verify(
    ctx: Context, scope: str, expected_seal: str = "", seal: int = 0
) -> Dict[str, Any]:
    """Whether what happened is stored as it was written: of one incident, or with `scope` "all" of
    everything.

    {"ok", "result": ok or broken, "scope", counts, "broken": [{"incident_id", "findings"}],
    "last_seal", "kept_seal", "seconds", "events_per_s"}. `expected_seal` is the hash of seal number
    `seal` as it was kept elsewhere. Raises InvalidInput, NotFound, StoreError.
    """
    from selfheal.incidents import audit, evidence  # sealing needs neither

    _check(scope, expected_seal, seal)
    began = ctx.clock.monotonic()
    if scope == ALL:
        report = evidence.examine_all(ctx.store)
    else:
        report = evidence.examine_one(ctx.store, scope)
        if not report.incidents:
            raise NotFound(
                "nothing is known of incident %r; incident_list shows those there are, scope=all "
                "looks at all" % scope
            )
    kept = ""
    if expected_seal:
        kept = evidence.kept_seal(ctx.store, seal, expected_seal, report)
    seconds = max(ctx.clock.monotonic() - began, 0.0)
    if not report.is_ok:
        ctx.log.error("the audit trail is broken: %d findings", report.findings)
    seq, hashed = seals.tip(ctx.store)
    return {
        "ok": report.is_ok,
        "result": "ok" if report.is_ok else "broken",
        "scope": scope,
        "incidents": report.incidents,
        "events": report.events,
        "before_chain": report.before_chain,
        "executions": report.executions,
        "seals": report.seals,
        "findings": report.findings,
        "broken_incidents": report.broken_incidents,
        "broken": [
            {
                "incident_id": one_line(name, 64),
                "findings": [audit.as_dict(finding) for finding in findings],
            }
            for name, findings in report.broken.items()
        ],
        "last_seal": {"seal": seq, "hash": hashed},
        "kept_seal": kept,
        "seconds": round(seconds, 3),
        "events_per_s": round(report.events / seconds) if seconds else None,
    }


def seal_audit(ctx: Context) -> Dict[str, Any]:
    """Seal what happened since the last time: {"sealed", "seq", "hash"}. The hash goes to the log
    once an hour.
    """
    store = ctx.store
    done = seals.seal_changed(store)
    last = checkpoints.number({"at": checkpoints.read(store, _LOGGED)}, "at")
    if done["seq"] and (last is None or not 0 <= store.now() - last < LOG_EVERY_S):
        ctx.log.info(
            "audit seal %d is %s; kept elsewhere, it proves later that nothing before it was "
            "rewritten: st2 run selfheal.audit_verify scope=all seal=%d expected_seal=%s",
            done["seq"],
            done["hash"],
            done["seq"],
            done["hash"],
        )
        checkpoints.write(store, _LOGGED, store.now())
    return done


def _check(scope: str, expected_seal: str, seal: int) -> None:
    if scope != ALL and not is_id(scope):
        raise InvalidInput(
            "scope must be the id of an incident, such as inc-01jd5k3x9q-8f2k1z, or the word all, "
            "not %r" % scope[:64]
        )
    if not expected_seal and not seal:
        return
    if scope != ALL:
        raise InvalidInput("a kept seal is compared with scope=all; leave it out for one incident")
    if not _HASH.match(expected_seal) or isinstance(seal, bool) or seal < 1:
        raise InvalidInput(
            "expected_seal is the 64 hexadecimal digits of a seal's hash and seal its number, from "
            "1 on; give both, as they were logged, or neither"
        )
