"""The action k8s_scale_by_metric: for a workload without an autoscaler, one step out or in when a
metric has left its band.

It is called again and again, by a timer. Between `low` and `high` nothing is done; beyond them only
after several looks in a row, one step at a time, and not again before a cool-down: what is known of
that is kept in the store. The step itself takes the road of every remedy (`by_hand`), with its
guards, record and undo.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Mapping, Tuple

from selfheal.breakers import service as breaker
from selfheal.diagnose.kubernetes import asking
from selfheal.exceptions import ConfigError, Conflict, ExternalError, InvalidInput
from selfheal.guard import groups, locks
from selfheal.ids import new_id
from selfheal.records import dataclass
from selfheal.respond.by_hand import Hand, carry_out
from selfheal.store import checkpoints
from selfheal.text import one_line
from selfheal.verify.kubernetes import service_name
from selfheal.workloads.model import Ref

if TYPE_CHECKING:
    from selfheal.context import Context

STEADY, WAITING, PLANNED = "steady", "waiting", "planned"
OUT, IN = "out", "in"
KINDS = ("Deployment", "StatefulSet", "ReplicaSet")
SECTION = "prometheus"
LOCK_S = 900.0
# Looks that are further apart are no row.
ROW_S = 3600.0
_DEADLINE_S = 15.0
_MOST = 1000


@dataclass(frozen=True)
class Band:
    """When to scale: beyond `low` and `high` for `looks` looks, by `step`, between `least` and
    `most` replicas, with cool-downs in seconds after the last change.
    """

    low: float
    high: float
    step: int
    least: int
    most: int
    looks: int
    out_cool_s: float
    in_cool_s: float


@dataclass(frozen=True)
class Memory:
    """What is kept between looks: in which direction the last looks pointed and how many they
    were, when the last was, and when a change was last tried (0.0 never). Times in epoch s.
    """

    direction: str = ""
    looks: int = 0
    last_look: float = 0.0
    changed_at: float = 0.0


def k8s_scale_by_metric(
    ctx: Context,
    namespace: str,
    name: str,
    query: str,
    high: float,
    low: float,
    kind: str = "any",
    cluster: str = "",
    step: int = 1,
    least: int = 1,
    most: int = 0,
    looks: int = 2,
    out_cool_minutes: float = 3,
    in_cool_minutes: float = 10,
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Look at the metric once, and scale by one step when that is due.

    `query` is PromQL that gives one value; ${namespace} and ${workload} in it stand for the names,
    safely quoted. `most` 0 means kubernetes.max_replicas. Returns {"outcome": steady|waiting|
    planned|done|refused|failed|awaiting_approval, "value", "replicas", "wanted", "reason",
    "incident_id", "summary"}. Raises InvalidInput, NotFound, Refused (an autoscaler decides),
    ConfigError, ExternalError when the metric is not known (then nothing is done), and Conflict
    while another look is at work.
    """
    about = asking.about(ctx, namespace, name, kind, cluster)
    if about.workload is None:
        raise InvalidInput("a node cannot be scaled: name a workload")
    band = Band(
        low, high, step, least, most, looks, out_cool_minutes * 60.0, in_cool_minutes * 60.0
    )
    _checked(band)
    value = _value(ctx, about, query)
    ref, replicas, trouble, limit = _now(ctx, about)
    band = replace(band, most=min(band.most or limit, limit))
    key = "scale_by_metric:%s/%s" % (about.cluster or "", ref)
    owner = new_id("scale", ctx.clock.now())
    if not locks.acquire(ctx.store, key, owner, LOCK_S):
        raise Conflict("another look at %s is at work; this one stops" % ref)
    try:
        before = _read(ctx, key)
        wanted, reason, after = decided(value, replicas, band, before, ctx.clock.now(), trouble)
        if not dry_run:
            # Before it is tried: who dies meanwhile must not try again at the next look.
            checkpoints.write(ctx.store, key, vars(after))
        answer: Dict[str, Any] = {
            "value": value, "replicas": replicas, "wanted": wanted, "reason": reason,
            "incident_id": "", "outcome": STEADY if not after.direction else WAITING,
        }
        if wanted != replicas:
            hand = Hand(
                "scale_workload", ref.name, ref.namespace, ref.kind.lower(), about.cluster or "",
                {"to": wanted}, dry_run, who,
            )
            answer.update(_stepped(ctx, hand, reason))
    finally:
        locks.release(ctx.store, key, owner)
    return dict(answer, summary=_summary(ref, answer))


def _stepped(ctx: Context, hand: Hand, reason: str) -> Dict[str, Any]:
    """What became of the step."""
    done = carry_out(ctx, hand)
    return {
        "outcome": done["outcome"],
        "incident_id": done["incident_id"],
        "reason": "; ".join(part for part in (reason, done["reason"]) if part),
    }


def _summary(ref: Ref, answer: Mapping[str, Any]) -> str:
    step = ""
    if answer["wanted"] != answer["replicas"]:
        step = " -> %d" % answer["wanted"]
    words = "%s: %s, %g, %d replicas%s: %s" % (
        ref, answer["outcome"], answer["value"], answer["replicas"], step, answer["reason"],
    )
    return one_line(words, 500)


def decided(
    value: float, replicas: int, band: Band, before: Memory, now: float, trouble: str = ""
) -> Tuple[int, str, Memory]:
    """(how many replicas there should be, why, what is to be kept). Pure; `trouble` is why nothing
    may be changed at the moment.
    """
    direction = OUT if value > band.high else IN if value < band.low else ""
    is_row = direction == before.direction and 0 <= now - before.last_look <= ROW_S
    after = Memory(
        direction, before.looks + 1 if is_row else 1, now, min(before.changed_at, now)
    )
    if not direction:
        words = "%g is between %g and %g" % (value, band.low, band.high)
        return replicas, words, Memory("", 0, now, after.changed_at)
    said = "%g is %s" % (value, "above %g" % band.high if direction == OUT else
                         "below %g" % band.low)
    if not replicas:
        return replicas, "%s, but it is scaled to zero, which is somebody's will" % said, after
    wanted = _next(replicas, direction, band)
    if wanted == replicas:
        bound = band.most if direction == OUT else band.least
        return replicas, "%s, but it has its %d replicas and may not have %s" % (
            said, bound, "more" if direction == OUT else "fewer",
        ), after
    if trouble:
        return replicas, "%s, but %s" % (said, trouble), after
    if after.looks < band.looks:
        return replicas, "%s, for %d of the %d looks that it takes" % (
            said, after.looks, band.looks,
        ), after
    cool_s = band.out_cool_s if direction == OUT else band.in_cool_s
    left_s = after.changed_at + cool_s - now if after.changed_at else 0.0
    if left_s > 0:
        return replicas, "%s, but the last change is too fresh: %d s to wait" % (
            said, math.ceil(left_s),
        ), after
    return wanted, "%s for %d looks" % (said, after.looks), Memory(direction, 0, now, now)


def _next(replicas: int, direction: str, band: Band) -> int:
    """One step on, within bounds; who is beyond them already is not pulled back by this."""
    if direction == OUT:
        return max(replicas, min(replicas + band.step, band.most))
    return min(replicas, max(replicas - band.step, band.least))


def _checked(band: Band) -> None:
    for name, value in (("high", band.high), ("low", band.low)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise InvalidInput("%s must be a number, not %r" % (name, value))
    if not band.low < band.high:
        raise InvalidInput(
            "low (%g) must be below high (%g): between them nothing is done"
            % (band.low, band.high)
        )
    for name, value, lowest in (
        ("step", band.step, 1), ("least", band.least, 1), ("most", band.most, 0),
        ("looks", band.looks, 1),
    ):
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not lowest <= value <= _MOST:
            raise InvalidInput(
                "%s must be a whole number from %d to %d, not %r" % (name, lowest, _MOST, value)
            )
    if band.most and band.most < band.least:
        raise InvalidInput("most (%d) must not be below least (%d)" % (band.most, band.least))
    if not (0 <= band.out_cool_s <= 86400 and 0 <= band.in_cool_s <= 86400):
        raise InvalidInput("cool-downs must be from 0 minutes to a day")


def _value(ctx: Context, about: asking.About, query: str) -> float:
    from selfheal.apis import prometheus

    target = ctx.config.target_for(SECTION, about.cluster)
    if target is None:
        raise ConfigError("Prometheus is off, and only it knows the metric: set prometheus.url")
    named = {"namespace": str(about.namespace), "workload": str(about.workload)}
    expression = groups.filled(query, named)
    if not expression.strip():
        raise InvalidInput("query must be PromQL that gives one value")
    samples = breaker.call(
        ctx,
        breaker.name_of(ctx.config, SECTION, target),
        lambda: prometheus.query(ctx.http, target, expression),
    )
    if len(samples) > 1:
        raise InvalidInput(
            "the query gives %d values, and it must be clear which counts: aggregate them, as by "
            "max(...)" % len(samples)
        )
    if not samples or not math.isfinite(samples[0].value):
        raise ExternalError(
            "the query gives %s, so nothing is done: what is not known is no reason to scale"
            % ("no value" if not samples else "%s" % samples[0].value)
        )
    return samples[0].value


def _now(ctx: Context, about: asking.About) -> Tuple[Ref, int, str, int]:
    """What is meant, how many replicas it is to have, why nothing may be changed now, and how many
    it may have. Raises Refused when an autoscaler decides that.
    """
    from selfheal.apis.kubernetes import client as api
    from selfheal.remedy.kubernetes import autoscalers
    from selfheal.workloads import reading, shape

    client = api.connect(ctx, about.cluster)
    try:
        client.hurry(_DEADLINE_S)

        def looked() -> Tuple[Ref, int, str]:
            wanted = about.labels.get("workload_kind", "")
            ref = reading.find(client, str(about.namespace), str(about.workload), wanted)
            if ref.kind not in KINDS:
                raise InvalidInput(
                    "%s has no number of replicas to change; name one of the kinds %s"
                    % (ref, ", ".join(KINDS))
                )
            autoscalers.refuse_steered(client, ref)
            picture = reading.look(client, ref, ctx.clock.now())
            health = reading.health(picture)
            trouble = "" if health.is_settled else "it is not settled: %s" % health.words
            return ref, shape.replicas_wanted(picture.workload), trouble

        ref, replicas, trouble = breaker.call(ctx, service_name(client.name), looked)
        return ref, replicas, trouble, int(client.settings["max_replicas"])
    finally:
        client.close()


def _read(ctx: Context, key: str) -> Memory:
    found = checkpoints.read(ctx.store, key)
    kept: Mapping[str, Any] = found if isinstance(found, dict) else {}
    direction = kept.get("direction")
    return Memory(
        direction if direction in (OUT, IN) else "",
        int(checkpoints.number(kept, "looks") or 0),
        checkpoints.number(kept, "last_look") or 0.0,
        checkpoints.number(kept, "changed_at") or 0.0,
    )
