"""All parts of the pack at work at once on one database, each in a process of its own: none waits
in a circle, none is refused by the database, no step is done twice, and the chain of events is
whole.

SELFHEAL_STRESS_S=20 keeps them at it for longer; it is short always.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import time

from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import Conflict, Refused
from selfheal.incidents import evidence
from selfheal.intake.ingest import ingest_alertmanager
from selfheal.operate import pausing
from selfheal.operate.housekeeping import housekeeping
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.answering import approve
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.approval.settling import settle_approval
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.respond.finish import close_incident
from selfheal.respond.remediate import remediate, undo_remediation
from selfheal.respond.verify import verify_resolution
from selfheal.store import open_store
from tests import alert_scene, needs
from tests.remedy import scenes
from tests.respond import dying_scene

SECONDS = float(os.environ.get("SELFHEAL_STRESS_S") or 1.5)
FORK = multiprocessing.get_context("fork")
CAUSES = tuple("abcdefghijkl")
WAITING = "SELECT id FROM incidents WHERE status = 'open' ORDER BY id"
PATIENCE_S = 180.0  # for one whose every round was spoilt by others


def context(tmp_path, url):
    config = dict(scenes.config_for(tmp_path, verify_timeout=1), database={"url": url})
    config["resolver"].update(max_retries=1000000, verify_interval=0.1)
    config["safety"].update(scenes.UNBOUNDED["safety"], storm_incidents=1000000)
    config["safety"].update(flap_quiet_minutes=0)
    config["incidents"] = {"reopen_minutes": 0}
    return Context(Config(config), store=open_store(url), platform=dying_scene.Platform())


def sender(ctx, chance):
    alerts = [
        alert_scene.alert(
            name=chance.choice(("gentle", "harsh")),
            starts=time.time() - alert_scene.NOW,
            ends=chance.choice((None, None, time.time() - alert_scene.NOW)),
            namespace="shop",
            service="shop-%s" % cause,
        )
        for cause in chance.sample(CAUSES, 3)
    ]
    ingest_alertmanager(ctx, alert_scene.body(*alerts))


def responder(ctx, chance):
    """What the workflow does, one step after the other; a person may be quicker at any of them."""
    waiting = ctx.store.query(WAITING)
    if not waiting:
        time.sleep(0.02)
        return
    incident_id, run_id = chance.choice(waiting)["id"], "run-%d" % chance.getrandbits(40)
    if analyze_incident(ctx, incident_id, run_id)["state"] != "claimed":
        return
    try:
        if healed(ctx, incident_id, run_id):
            close_incident(ctx, incident_id, run_id, "remediated")
            return
        undo_remediation(ctx, incident_id, run_id)
    finally:
        escalate_to_oncall(ctx, incident_id, run_id, "remediation_failed")


def healed(ctx, incident_id, run_id):
    strategy = determine_response_strategy(ctx, incident_id, run_id)["strategy"]
    if strategy == "approve":
        question = request_approval(ctx, incident_id, run_id)["approval_id"]
        approve(ctx, question, "", "ann")
        strategy = settle_approval(ctx, incident_id, question, "none", run_id)["verdict"]
    if strategy not in ("automated", "approved"):
        return False
    if remediate(ctx, incident_id, run_id)["outcome"] != "done":
        return False
    return verify_resolution(ctx, incident_id, run_id, 0.2)["resolved"]


def person(ctx, chance):
    """Somebody who pauses, resumes and verifies the audit, now and then."""
    time.sleep(0.3)
    pausing.pause(ctx, "namespace=shop", who="ann", stop_running=chance.random() < 0.5)
    pausing.resume(ctx, "namespace=shop", who="ann")
    report = evidence.examine_all(ctx.store)
    assert report.is_ok, report.broken


def closer(ctx, _chance):
    """Somebody who closes what was escalated, so that its cause opens the next incident."""
    time.sleep(0.05)
    for row in ctx.store.query("SELECT id FROM incidents WHERE status = 'escalated'"):
        close_incident(ctx, row["id"])


def housekeeper(ctx, _chance):
    result = housekeeping(ctx)
    assert result["problems"] == []


PARTS = (sender, sender, responder, responder, responder, person, closer, housekeeper)


def has_acted(tmp_path):
    """Whether a remedy is at work, or was: on a slow machine the first takes its time."""
    return (tmp_path / "log").exists()


def work(tmp_path, url, number, start, answers):
    ctx, chance, count = context(tmp_path, url), random.Random(number), 0
    try:
        ctx.store.value("SELECT 1")
        start.wait(180)
        end = time.monotonic() + SECONDS
        while time.monotonic() < (end if count and has_acted(tmp_path) else end + PATIENCE_S):
            try:
                PARTS[number](ctx, chance)
                count += 1
            except (Conflict, Refused) as error:  # somebody was quicker, as we say it ourselves
                assert "holds such a row" not in str(error), error
        answers.put((PARTS[number].__name__, count))
    except BaseException as error:
        start.abort()
        answers.put("%s: %s: %s" % (PARTS[number].__name__, type(error).__name__, error))
        raise
    finally:
        ctx.close()


def test_all_parts_at_once_get_along(tmp_path, url):
    needs.linux()
    dying_scene.write_runbook(tmp_path)
    open_store(url).close()
    start, answers = FORK.Barrier(len(PARTS)), FORK.Queue()
    workers = [
        FORK.Process(target=work, args=(tmp_path, url, number, start, answers), daemon=True)
        for number in range(len(PARTS))
    ]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=SECONDS + PATIENCE_S + 60) for _ in workers]
    for worker in workers:
        worker.join(180)
    assert [one for one in found if isinstance(one, str)] == []
    parts = {part for part, count in found if count}
    assert parts == {part.__name__ for part in PARTS}, "somebody came to nothing: %s" % found
    ctx = context(tmp_path, url)
    sql = "SELECT status, COUNT(*) AS many FROM execution_history GROUP BY status"
    ended = {row["status"]: row["many"] for row in ctx.store.query(sql)}
    words = "rounds of each in %g s: %s; executions: %s"
    logging.getLogger(__name__).info(words, SECONDS, sorted(found), ended)
    assert evidence.examine_all(ctx.store).is_ok
    log = dying_scene.World(tmp_path, is_new=False).log()
    assert {times for line, times in log.items() if line.startswith(("begun", "done"))} == {1}
    assert ctx.store.value("SELECT COUNT(*) FROM execution_history WHERE status = 'running'") == 0
    held = ctx.store.query("SELECT name FROM locks WHERE substr(name, 1, 7) = 'target:'")
    assert held == []
    ctx.close()
