"""Each write to a tracker is to be seen once, whatever became of the attempts before."""

from __future__ import annotations

import pytest

from selfheal.document import dumped, text
from selfheal.exceptions import ConfigError, ExternalError, NotFound
from selfheal.operate import breakers
from selfheal.outbox import letters
from selfheal.outbox.carrying import Letter, NotTaken
from selfheal.respond import telling
from selfheal.store import load_map
from selfheal.store.engine import dump
from selfheal.tickets import carrier, trackers
from tests import scene
from tests.stub_jira import Stub
from tests.tickets import desk as desks

FAULTS = ("429", "500", "drop_before", "drop_after")


@pytest.fixture(params=desks.REAL)
def real(request, tmp_path, monkeypatch):
    """A desk whose tracker is a real server."""
    url = scene.store_url("sqlite", tmp_path)
    with desks.desk(request.param, url, monkeypatch) as found:
        yield found


def happen(desk):
    """What makes one letter of each kind; it is posted, not carried."""
    desk.store.execute("UPDATE incidents SET severity = 'warning' WHERE id = 'inc-1'")
    desk.happens("decided")
    desk.follow()
    desk.resolved()
    desk.follow()
    desk.reopened()
    desk.follow()


@pytest.mark.parametrize("fault", FAULTS)
def test_ticket_is_made_once_after_each_fault(real, fault):
    real.incident()
    real.escalated()
    real.follow()
    real.stub.fail_next(fault, only="write")
    telling.deliver(real.ctx)
    assert len(real.stub.tickets()) == (1 if fault == "drop_after" else 0)
    assert real.links()[0].status == "asked"
    real.work()
    assert real.ticket()["ref"] == real.links()[0].ref


@pytest.mark.parametrize("fault", FAULTS)
def test_each_letter_is_seen_once_when_every_write_fails_first(real, fault):
    real.incident()
    real.escalated()
    real.work()
    happen(real)
    kinds = real.waiting()
    assert {one["kind"] for one in kinds} == {
        "ticket_comment", "ticket_severity", "ticket_resolve", "ticket_reopen",
    }
    for _ in kinds:
        real.stub.fail_next(fault, only="write")
        telling.deliver(real.ctx)
        real.clock.at += 1000
        telling.deliver(real.ctx, limit=1)
        real.clock.at += 1000
    real.work(rounds=20)
    told = [one for one in real.headings() if not one.startswith("Severity")]
    assert told == ["Decision", "Resolved", "The cause is back"]
    assert len(real.headings()) == 4
    assert real.ticket()["state"] in ("open", "in_progress")


@pytest.mark.parametrize("fault", ["429", "500", "drop_before"])
def test_resolving_whose_second_look_failed_is_ours(real, fault):
    """It was written; that the look after it was refused does not say that it was not."""
    real.incident()
    real.escalated()
    real.work()
    real.resolved()
    real.follow()
    faults = [fault]

    def fails(request):
        is_look = request["method"] == "GET" and real.ticket()["state"] == "resolved"
        return faults.pop() if faults and is_look else ""

    real.stub.chance = fails
    real.work()
    assert faults == []
    assert real.links()[0].status == "resolved" and real.kinds() == ["ticket_created"]


def test_search_that_lags_behind_makes_no_second_ticket(tmp_path):
    clock = scene.Clock()
    with Stub(now=clock.now, lag_s=50.0) as stub:
        url = scene.store_url("sqlite", tmp_path)
        desk = desks.Desk(url, stub, {stub.section: stub.settings()}, clock)
        desk.incident()
        desk.escalated()
        desk.follow()
        stub.fail_next("429", only="write")
        telling.deliver(desk.ctx)
        clock.at += 31
        stub.fail_next("drop_after", only="write")
        telling.deliver(desk.ctx)
        assert len(stub.tickets()) == 1
        for _ in range(10):
            clock.at += 31
            telling.deliver(desk.ctx)
            # As if the outbox tried it all the time.
            desk.store.execute("UPDATE outbox SET next_attempt_at = ?", (clock.at,))
        assert len(stub.tickets()) == 1
        assert desk.links()[0].ref == desk.ticket()["ref"]


def test_letter_of_a_ticket_that_nobody_knows_is_given_up(real):
    payload = {"op": "comment", "ticket_id": "tkt-unknown"}
    letter = Letter(
        "msg-1", "ticket_comment", "", "ticket:x", real.tracker_name, "", payload, 1, 0.0, False
    )
    with pytest.raises(NotTaken) as caught:
        carrier.carry(real.ctx, letter)
    assert caught.value.is_final


def test_tracker_that_is_not_configured_any_more_keeps_its_letters(real):
    real.incident()
    real.escalated()
    real.follow()
    sections, real.sections = real.sections, {}
    other = real.open()
    telling.deliver(other)
    (row,) = real.waiting()
    assert row["status"] == "pending" and real.stub.tickets() == []
    real.sections = sections
    real.work()
    assert real.ticket()


@pytest.mark.parametrize("section", desks.REAL)
@pytest.mark.parametrize("channel", ["%s:gone", "ticket:%s.gone"])
def test_letter_to_a_target_that_the_settings_lost_stays(tmp_path, monkeypatch, section, channel):
    url = scene.store_url("sqlite", tmp_path)
    with desks.desk(section, url, monkeypatch) as desk:
        payload = {"op": "comment", "issue": "OPS-1"}
        outbox_id = letters.post(
            desk.store, "wish", None, "k", payload, channel=channel % section, queue="q"
        )
        for _ in range(3):
            (delivery,) = telling.deliver(desk.ctx)
            desk.clock.at += 86400 * 9
            assert (delivery.status, delivery.tried) == ("no_destination", False)
            assert delivery.error == "no tracker %s.gone is configured" % section
        assert letters.status_of(desk.store, outbox_id) == "pending"


def test_ticket_that_is_given_up_takes_what_follows_it_along(real):
    real.incident()
    real.escalated()
    real.happens("decided")
    real.follow()
    link = real.links()[0]
    first = letters.find(real.store, "%s:create" % link.id)
    assert letters.discard(real.store, first, "ann", "not wanted")
    real.work()
    assert real.stub.tickets() == []
    real.happens("verified")
    real.resolved()
    real.work()  # nothing is given up in vain for a ticket that nobody wanted
    assert real.stub.tickets() == [] and real.links()[0].status == "left"
    real.reopened()
    real.escalated()
    real.work()
    assert real.ticket()["correlation"] == "selfheal-inc-1-1"


@pytest.mark.parametrize(
    "what, error",
    [
        ("attach", ConfigError), ("link", ConfigError), ("set_severity", ConfigError),
        ("attach", NotFound),
    ],
)
def test_right_that_is_missing_costs_no_comment_and_no_end(tmp_path, monkeypatch, what, error):
    url = scene.store_url("sqlite", tmp_path)

    def may_not(*_given):
        raise error("answered so: give our user the right")

    with desks.desk("memory", url, monkeypatch, attach_report=True) as desk:
        desk.incident(group_key="cause")
        desk.escalated()
        desk.resolved()
        desk.work()
        monkeypatch.setattr(desk.stub, what, may_not)
        desk.incident("inc-2", group_key="cause")
        desk.escalated("inc-2")
        desk.follow("inc-2")
        desk.store.execute("UPDATE incidents SET severity = 'info' WHERE id = 'inc-2'")
        desk.happens("decided", incident_id="inc-2")
        desk.follow("inc-2")
        desk.resolved("inc-2")
        desk.work()
        told = [one for one in desk.headings("2") if not one.startswith("Severity")]
        assert told == ["Decision", "Resolved"] and desk.waiting() == []
        assert desk.stub.tickets()[1]["state"] == "resolved"
        told = desk.store.value(
            "SELECT message FROM incident_events WHERE kind = 'ticket_only_comments'"
        )
        assert what != "set_severity" or told.endswith("it keeps the one that it has")


def test_ticket_that_is_shown_and_takes_no_comment_says_why_its_letter_waits(tmp_path, monkeypatch):
    """Some trackers say 404 where a right is missing."""
    def there_is_none(*_given):
        raise NotFound("answered 404: no comments here")

    with desks.desk("memory", scene.store_url("sqlite", tmp_path), monkeypatch) as desk:
        desk.incident()
        desk.escalated()
        desk.work()
        with monkeypatch.context() as patch:
            patch.setattr(desk.stub, "comment", there_is_none)
            desk.happens("decided")
            desk.follow()
            telling.deliver(desk.ctx)
            (row,) = desk.waiting()
            assert row["status"] == "pending" and "no comments here" in row["last_error"]
            (breaker,) = breakers.breaker_list(desk.ctx)["breakers"]
            assert breaker["failures"] == 0  # the tracker itself is well
        desk.clock.at += 4000
        desk.work()
        assert desk.headings() == ["Decision"] and desk.kinds() == ["ticket_created"]


def test_comment_that_is_too_long_is_written_where_nothing_may_be_attached(real):
    real.stub.forbidden |= {"attach", ("POST", "sys_attachment")}
    real.incident()
    real.escalated()
    real.work()
    tracker, ref = trackers.open_tracker(real.ctx, real.tracker_name), real.ticket()["ref"]
    tracker.comment(ref, (text(*("line %d %s" % (n, "x" * 400) for n in range(100))),), "msg-1")
    assert real.ticket()["comments"][0].startswith("line 0") and tracker.has_comment(ref, "msg-1")
    real.stub.forbidden.clear()
    real.stub.fail_next("500", only="write")  # what may pass is tried again, with the attachment
    with pytest.raises(ExternalError):
        tracker.comment(ref, (text(*("line %d %s" % (n, "x" * 400) for n in range(100))),), "msg-2")
    assert len(real.ticket()["comments"]) == 1


def long_letter(desk):
    """The letter that makes a ticket whose description does not fit."""
    desk.incident()
    desk.escalated()
    desk.follow()
    row = desk.store.one("SELECT id, payload FROM outbox WHERE kind = 'ticket_create'")
    payload = load_map(row["payload"])
    lines = (text(*("line %d %s" % (number, "x" * 400) for number in range(100))),)
    payload["draft"]["body"] = dumped(lines)
    desk.store.execute("UPDATE outbox SET payload = ? WHERE id = ?", (dump(payload), row["id"]))


def files_of(stub):
    """The names of all files that were uploaded, those of one name each."""
    rows = getattr(stub, "issues", None)
    if rows is not None:
        return [name for one in rows for name, _, _ in one["attachments"]]
    return [one["file_name"] for one in stub.tables.attachments]


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_description_that_is_too_long_is_attached_whole_and_once(real, fault):
    long_letter(real)
    if fault:  # of what makes the ticket: it is found again by its correlation id
        real.stub.fail_next(fault, only="write")
    real.work()
    assert files_of(real.stub) == ["incident-inc-1.txt"]
    assert b"line 99" in real.ticket()["attachments"]["incident-inc-1.txt"]


@pytest.mark.parametrize("fault", FAULTS)
def test_attachment_of_a_new_ticket_that_failed_follows_once(real, fault):
    long_letter(real)
    faults = iter(["", fault])
    real.stub.chance = lambda request: next(faults, "") if real.stub._is_write(request) else ""
    real.work()
    assert next(faults, "over") == "over"
    assert files_of(real.stub) == ["incident-inc-1.txt"] and len(real.stub.tickets()) == 1
    assert real.kinds() == ["ticket_created"]


def test_attachment_that_failed_follows_also_when_the_ticket_itself_took_many_attempts(real):
    long_letter(real)
    real.store.execute("UPDATE outbox SET attempts = 7")
    faults = iter(["", "500"])
    real.stub.chance = lambda request: next(faults, "") if real.stub._is_write(request) else ""
    real.work()
    assert files_of(real.stub) == ["incident-inc-1.txt"]


def test_attachment_that_never_works_does_not_keep_comments_from_their_ticket(real):
    long_letter(real)
    real.stub.chance = lambda request: "500" if "attach" in request["path"] else ""
    real.happens("decided")
    real.work()
    assert real.links()[0].status == "open" and real.waiting() == []
    assert "Decision" in real.headings() and files_of(real.stub) == []


def test_report_is_attached_at_the_end(tmp_path, monkeypatch):
    for kind in desks.REAL:
        (tmp_path / kind).mkdir()
        url = scene.store_url("sqlite", tmp_path / kind)
        with desks.desk(kind, url, monkeypatch, attach_report=True) as desk:
            desk.incident()
            desk.escalated()
            desk.resolved()
            desk.work()
            desk.reopened()
            desk.resolved()
            desk.work()
            assert sorted(desk.ticket()["attachments"]) == [
                "incident-inc-1-2.md", "incident-inc-1.md",
            ]
            assert b"web is down" in desk.ticket()["attachments"]["incident-inc-1.md"]
            assert desk.waiting() == []
