"""What a denial says about how to allow it: rows that can be copied as they stand."""

from __future__ import annotations

import re

import pytest

from selfheal.guard.commands import ALLOW, NEEDS_APPROVAL, load_policy
from tests.guard.command_words import EVASIVE, decide

_ROWS = re.compile(r"\(safety\.command_table\): `(.*)`(?: \(value: none is a switch.*\)\.)?\Z")


def rows_in(advice):
    found = _ROWS.search(advice)
    return found.group(1) if found else ""


def with_rows(tmp_path, number, *rows):
    import yaml

    from selfheal.guard.commands import table

    merged = {}
    for row in rows:
        for section, content in yaml.safe_load(row).items():
            merged.setdefault(section, {}).update(content)
    path = tmp_path / ("commands%d.yaml" % number)
    path.write_text(yaml.safe_dump(merged))
    assert table.load(path)
    return load_policy(str(path))


@pytest.mark.parametrize("start", range(2))
def test_rows_in_advice_can_be_copied_and_change_the_answer(tmp_path, start):
    """A row, when there is one, makes a table that can be read and answers otherwise."""
    tried = 0
    for number, command in enumerate(EVASIVE[start::120]):
        decision = decide(command)
        rows = rows_in(decision.advice)
        if not rows:
            assert "no row can" in decision.advice.lower()
            continue
        again = decide(command, with_rows(tmp_path, number, rows))
        assert again.rule != "table.unusable", (command, rows, again.reason)
        assert not again.is_denied or again.reason != decision.reason, (command, rows)
        tried += 1
    assert tried > 5


@pytest.mark.parametrize(
    "command, answer",
    [
        ("frobnicate web", NEEDS_APPROVAL),
        ("kubectl attach web", NEEDS_APPROVAL),
        ("kubectl exec web -n shop -- uname -a", NEEDS_APPROVAL),
        ("kubectl get secret/db", ALLOW),
        ("kubectl get pods --context=stage", NEEDS_APPROVAL),
        ("kubectl delete pod x -n kube-system", NEEDS_APPROVAL),
        ("cat /etc/nginx/nginx.conf", ALLOW),
        ("curl http://app.internal/health", ALLOW),
        ("systemctl restart dbus", NEEDS_APPROVAL),
        ("service dbus restart", NEEDS_APPROVAL),
        ("psql -h db1 -c 'select 1'", ALLOW),
        ("tail -n 20000 /var/log/syslog", NEEDS_APPROVAL),
        ("/opt/bin/df -h", ALLOW),
        ("/opt/bin/mytool x", NEEDS_APPROVAL),
        ("/usr/bin/env x", NEEDS_APPROVAL),
        ("mysql -e 'show tables'", NEEDS_APPROVAL),
        ("chronyc 'burst 4/4'", NEEDS_APPROVAL),
        ("df --weird", NEEDS_APPROVAL),
    ],
)
def test_what_is_meant_is_allowed_by_the_row_that_the_denial_names(tmp_path, command, answer):
    decision = decide(command)
    assert decision.is_denied
    assert decide(command, with_rows(tmp_path, 1, rows_in(decision.advice))).decision == answer


@pytest.mark.parametrize(
    "command", ["df; reboot", "df $(id)", "df > x", "x=1 df", "df \u0435", "'df'", "df --", ""]
)
def test_what_only_a_shell_could_do_says_that_no_row_allows_it(command):
    assert "no row can allow" in decide(command).advice.lower()


def test_two_denials_of_one_secret_lead_to_it_step_by_step(tmp_path):
    first = decide("cat /etc/app/token.txt")
    rows = rows_in(first.advice)
    second = decide("cat /etc/app/token.txt", with_rows(tmp_path, 1, rows))
    assert second.is_denied and "never_paths" in rows and "readable" in second.advice
    both = with_rows(
        tmp_path, 2, "{lists: {never_paths: {without: ['*token*']}, readable: [/etc/app/]}}"
    )
    assert decide("cat /etc/app/token.txt", both).decision == ALLOW
