"""One ticket per incident and opening: what it says, in which order, and how it ends."""

from __future__ import annotations

import pytest

from selfheal.tickets import links, planning
from tests.tickets import desk as desks


def test_escalated_incident_becomes_one_ticket(desk):
    desk.incident(title="web is down\n<script>", alert_type="ServiceDown")
    desk.escalated()
    desk.work()
    desk.work()
    ticket = desk.ticket()
    assert ticket["title"] == "web is down <script>"
    assert ticket["correlation"] == "selfheal-inc-1-0"
    assert "inc-1" in ticket["body"] and "no answer from web" in ticket["body"]
    (link,) = desk.links()
    assert (link.status, link.ref, link.number) == ("open", ticket["ref"], ticket["number"])
    assert link.url.startswith("http") and desk.kinds() == ["ticket_created"]


def test_incident_that_nobody_was_given_becomes_none(desk):
    desk.incident(status="analyzing")
    for kind in ("opened", "analyzed", "decided", "remediation_started", "verified"):
        desk.happens(kind)
    desk.resolved()
    desk.work()
    assert desk.stub.tickets() == [] and desk.links() == []


def test_what_happened_before_is_told_with_the_diagnostics_first(desk):
    desk.incident(status="analyzing")
    desk.happens("analyzed", "no runbook fits", evidence=[{"what": "pod", "found": "OOMKilled"}])
    desk.happens("decided", "escalate: no runbook", strategy="escalate", reasons=["no runbook"])
    desk.happens("remediation_started", "runbook restart begins")
    desk.escalated()
    desk.work()
    assert desk.headings() == ["Diagnostics", "What was done before this ticket"]
    assert "OOMKilled" in desk.ticket()["comments"][0]
    assert "runbook restart begins" in desk.ticket()["comments"][1]


def test_each_stage_is_a_comment_once_and_in_order(desk):
    desk.incident(status="analyzing")
    desk.escalated()
    stages = [
        ("acknowledged", "Acknowledged"), ("analyzed", "Diagnostics"), ("decided", "Decision"),
        ("approval_requested", "A person is asked"), ("approval_approved", "Approved"),
        ("remediation_started", "Remediation started"),
        ("remediation_finished", "Remediation finished"), ("not_verified", "Not verified"),
        ("undo_finished", "Undone"), ("verified", "Verified"),
    ]
    for kind, _ in stages:
        desk.happens(kind, undone=1)
        desk.happens("alert_attached")
        desk.work()
    desk.work()
    assert desk.headings() == [heading for _, heading in stages]


def test_end_is_told_with_its_evidence_and_resolves_the_ticket(desk):
    desk.incident()
    desk.escalated()
    desk.happens("remediation_finished", "done: all steps", outcome="done")
    desk.happens("verified", "all 1 checks stayed healthy for 60 s")
    desk.resolved()
    desk.work()
    ticket = desk.ticket()
    assert ticket["state"] in ("resolved", "closed")
    assert desk.headings()[-1] == "Resolved"
    assert "stayed healthy for 60 s" in ticket["comments"][-1]
    (link,) = desk.links()
    assert (link.status, link.wanted) == ("resolved", "resolved")


def test_priority_follows_the_severity(desk):
    desk.incident(severity="warning")
    desk.escalated()
    desk.work()
    before = desk.ticket()["severity"]
    desk.store.execute("UPDATE incidents SET severity = 'critical' WHERE id = 'inc-1'")
    desk.happens("alert_attached")
    desk.work()
    desk.happens("alert_attached")
    desk.work()
    assert desk.ticket()["severity"] != before
    assert desk.headings() == ["Severity: critical"]


def test_cause_that_is_back_soon_reopens_the_ticket_that_we_resolved(desk):
    desk.incident()
    desk.escalated()
    desk.resolved()
    desk.work()
    desk.reopened()
    desk.work()
    ticket = desk.ticket()
    assert ticket["state"] in ("open", "in_progress")
    assert desk.headings() == ["Resolved", "The cause is back"]
    (link,) = desk.links()
    assert (link.opening, link.status) == (1, "open")
    desk.resolved()
    desk.work()
    assert desk.ticket()["state"] in ("resolved", "closed")


def test_letters_that_had_to_wait_arrive_in_the_same_order(desk):
    desk.incident()
    desk.escalated()
    assert desk.follow() == 1
    desk.happens("decided", "escalate: why")
    desk.resolved()
    assert desk.follow() == 3 and desk.follow() == 0
    desk.reopened()
    desk.happens("verified")
    desk.resolved()
    desk.work()
    assert desk.headings() == [
        "Decision", "Resolved", "The cause is back", "Verified", "Resolved",
    ]
    assert desk.ticket()["state"] in ("resolved", "closed")


def test_cause_that_is_back_late_makes_a_new_ticket_linked_to_the_old(desk):
    desk.incident()
    desk.escalated()
    desk.resolved()
    desk.work()
    desk.clock.at += 86400 * 2
    desk.reopened()
    desk.escalated()
    desk.work()
    first, second = desk.stub.tickets()
    assert [one["correlation"] for one in (first, second)] == [
        "selfheal-inc-1-0", "selfheal-inc-1-1",
    ]
    assert first["state"] in ("resolved", "closed") and second["state"] == "open"
    assert [one.previous for one in desk.links()] == [None, desk.links()[0].id]
    assert desk.waiting() == []


def test_next_incident_of_the_same_cause_is_linked_to_the_ticket_before(desk):
    desk.incident(group_key="cause")
    desk.escalated()
    desk.resolved()
    desk.work()
    desk.incident("inc-2", group_key="cause")
    desk.escalated("inc-2")
    desk.work()
    assert desk.links("inc-2")[0].previous == desk.links()[0].id
    assert len(desk.stub.tickets()) == 2


def test_dry_run_makes_no_ticket(desk):
    desk.incident(dry_run=1)
    desk.escalated()
    desk.work()
    assert desk.stub.tickets() == []


def test_incident_told_with_another_ones_message_makes_no_ticket(desk):
    desk.incident()
    desk.escalated(folded="storm", outbox_id="msg-1")
    desk.work()
    assert desk.stub.tickets() == []


def test_what_a_close_look_found_is_in_the_description(desk):
    from selfheal.diagnose import record

    desk.incident()
    content = {"logs": [{"container": "app", "pod": "web-1", "lines": ["java.lang.OutOfMemory"]}]}
    found = record.Diagnosis("kubernetes", "Deployment shop/web", [], content=content, at=1.0)
    record.keep(desk.store, found, "inc-1")
    desk.escalated()
    desk.work()
    assert "container app of pod web-1" in desk.ticket()["body"]
    assert "java.lang.OutOfMemory" in desk.ticket()["body"]


def test_our_secrets_are_in_no_ticket(desk):
    secret = "hunter2-of-the-config"
    desk.sections["prometheus"] = {"url": "http://prometheus.example", "password": secret}
    desk.ctx = desk.open()
    desk.incident(title="login with %s failed" % secret)
    desk.happens("analyzed", "the password %s is wrong" % secret)
    desk.escalated()
    desk.happens("verified", "asked with %s" % secret)
    desk.resolved()
    desk.work()
    assert "login with" in desk.ticket()["title"] and len(desk.headings()) == 3
    assert secret not in repr(desk.stub.tickets())


def test_many_that_are_told_with_one_message_do_not_hide_the_one_that_waits(desk, monkeypatch):
    from selfheal.respond import ticketing

    monkeypatch.setattr(ticketing, "_MOST_FOLLOWED", 3)
    for number in range(5):
        desk.incident("inc-%d" % number)
        desk.escalated("inc-%d" % number, folded="storm", outbox_id="msg-1")
    desk.incident("inc-9")
    desk.escalated("inc-9")
    desk.work()
    assert desk.ticket()["correlation"] == "selfheal-inc-9-0"


def test_ticket_of_a_lost_database_is_found_again(desk):
    desk.incident()
    desk.escalated()
    desk.work()
    desk.store.execute("DELETE FROM tickets")
    desk.store.execute("DELETE FROM outbox")
    desk.work()
    (link,) = desk.links()
    assert desk.ticket()["ref"] == link.ref


def test_database_that_died_before_housekeeping_makes_up_for_it(desk):
    desk.incident()
    desk.happens("opened")
    desk.work()
    desk.escalated()
    desk.resolved()
    desk.work()
    assert desk.ticket()["state"] in ("resolved", "closed")


@pytest.mark.parametrize(
    ("open_for", "kinds", "is_made"),
    [
        ([], ["escalated"], False),
        (["escalated"], ["escalated"], True),
        (["remediating"], ["analyzed", "remediation_started"], True),
        (["remediating"], ["analyzed", "escalated"], False),
        (["all"], ["dispatched"], True),
        (["all"], ["opened"], False),
        ([], ["ticketed"], True),
        (["nonsense"], ["escalated"], False),
    ],
)
def test_settings_say_what_makes_a_ticket(tmp_path, monkeypatch, open_for, kinds, is_made):
    from tests import scene

    url = scene.store_url("sqlite", tmp_path)
    with desks.desk("memory", url, monkeypatch, open_for=open_for) as desk:
        desk.incident()
        for kind in kinds:
            desk.happens(kind)
        desk.work()
        assert bool(desk.stub.tickets()) == is_made


def test_left_to_people_when_the_settings_say_so(tmp_path, monkeypatch):
    from tests import scene

    url = scene.store_url("sqlite", tmp_path)
    with desks.desk("memory", url, monkeypatch, resolve=False) as desk:
        desk.incident()
        desk.escalated()
        desk.resolved()
        desk.work()
        assert desk.ticket()["state"] == "open"
        assert "left for you to close" in desk.ticket()["comments"][-1]
        desk.reopened()
        desk.work()
        assert len(desk.stub.tickets()) == 1 and desk.links()[0].opening == 1


def test_several_trackers_each_have_their_own(url, monkeypatch):
    def memory():
        return desks.desk("memory", url, monkeypatch)

    with memory() as one, memory() as two:
        sections = {
            "memory": {
                "east": one.sections["memory"], "west": two.sections["memory"],
            }
        }
        desk = desks.Desk(url, one.stub, sections)
        desk.incident()
        desk.escalated()
        desk.happens("decided")
        assert (desk.follow(), desk.follow()) == (4, 0)
        desk.work()
        assert {one.tracker for one in desk.links()} == {"memory.east", "memory.west"}
        assert one.headings() == two.headings() == ["Decision"]


def test_tracker_that_is_not_named_gets_nothing(url, monkeypatch):
    with desks.desk("memory", url, monkeypatch, trackers=["jira"]) as desk:
        desk.incident()
        desk.escalated()
        desk.work()
        assert desk.links() == []


def test_plan_is_the_same_however_often_it_is_asked_for():
    """Worked out from what is stored: nothing of it depends on the calls before."""
    from selfheal.tickets.stages import Event

    rules = planning.rules_of(["escalated"], 30, True, False)
    events = [Event(1, 0.0, "opened", ""), Event(2, 1.0, "escalated", ""),
              Event(3, 2.0, "decided", ""), Event(4, 3.0, "resolved", "")]
    case = planning.Case("inc-1", "error", 0, True, False, events, 4)

    def new(opening):
        return links.Link("tkt-1", "inc-1", opening, "t", "c", "error", 4, 0.0, 0.0)

    once = planning.plan(case, "t", None, rules, new)
    assert planning.plan(case, "t", None, rules, new) == once
    assert [letter.op for letter in once.letters] == ["create", "comment", "comment", "resolve"]
    assert planning.plan(case, "t", once.made[0], rules, new).letters == []
