"""The allow-table: it compiles whole, says what it means, and a site's file opens nothing by
accident.
"""

from __future__ import annotations

import textwrap

import pytest

from selfheal.exceptions import ConfigError
from selfheal.guard import commands
from selfheal.guard.commands import table
from selfheal.guard.commands.rows import load_policy, row_of
from selfheal.guard.commands.second_reading import objection
from tests.guard.command_words import POLICY, decide


@pytest.fixture
def site(tmp_path):
    """Writes a site's table and returns the policy with it."""

    def written(text):
        path = tmp_path / "commands.yaml"
        path.write_text(textwrap.dedent(text))
        load_policy.cache_clear()
        policy = load_policy(str(path))
        commands.check(policy)
        return policy

    return written


def rows_of(row):
    """`row` and all below it."""
    yield row
    for inner in (row.commands or {}).values():
        yield from rows_of(inner)


def test_every_row_compiles_and_every_live_row_has_a_way_to_be_allowed():
    assert commands.check(POLICY) > 200
    for program in POLICY.document["programs"]:
        for row in rows_of(row_of(program, POLICY)):
            assert row.deny or row.commands or row.resources or row.shapes, row.rule


def test_every_program_is_called_by_its_bare_name_or_a_listed_path():
    assert decide("/usr/bin/kubectl get pods").decision == commands.ALLOW
    assert decide("/opt/kubectl get pods").rule == "table.path"


def test_inverses_are_rows():
    for program in POLICY.document["programs"]:
        for row in rows_of(row_of(program, POLICY)):
            for inner in (row.commands or {}).values():
                if inner.inverse:
                    assert inner.inverse in row.commands, inner.rule
                    assert not row.commands[inner.inverse].deny


def test_secrets_are_no_kind_of_any_row():
    for program in POLICY.document["programs"]:
        for row in rows_of(row_of(program, POLICY)):
            if row.resources:
                assert not {"secret", "secrets"} & set(row.resources.spellings)


def test_site_adds_a_program(site):
    policy = site(
        """
        programs:
          appctl:
            about: our own tool
            commands:
              health: {risk: read-only}
              drop-cache: {risk: disruptive, args: word, count: '1'}
        """
    )
    assert decide("appctl health").is_denied
    assert decide("appctl health", policy).decision == commands.ALLOW
    dropped = decide("appctl drop-cache a", policy)
    assert dropped.decision == commands.NEEDS_APPROVAL and objection(dropped, policy) == ""
    assert decide("df -h", policy).decision == commands.ALLOW


def test_site_adds_a_flag_and_a_sub_command(site):
    policy = site(
        """
        programs:
          df: {flags: {--sync: none}}
          systemctl: {commands: {show-environment: {risk: read-only, ask: true}}}
        """
    )
    assert decide("df --sync", policy).decision == commands.ALLOW
    assert decide("systemctl show-environment", policy).decision == commands.NEEDS_APPROVAL


def test_site_widens_and_narrows_lists(site):
    policy = site(
        """
        lists:
          units: {only: [checkout]}
          never_units: [nginx]
          never_namespaces: {without: [argocd], add: [payments]}
          readable: [/srv/app/log/]
        """
    )
    assert decide("systemctl restart nginx", policy).is_denied
    assert decide("kubectl delete pod a -n payments", policy).is_denied
    assert not decide("kubectl delete pod a -n argocd", policy).is_denied
    assert decide("cat /srv/app/log/x.log", policy).decision == commands.ALLOW
    assert decide("cat /srv/app/x.txt", policy).is_denied


def test_site_tightens_without_naming(site):
    policy = site(
        """
        programs:
          docker: {deny: not on these hosts}
          df: {ask: true}
          free: {risk: destructive}
          journalctl: {flags: {-g --grep: {deny: too slow here}}}
          kubectl: {commands: {scale: {deny: only by pull request}}}
        """
    )
    assert decide("docker ps", policy).is_denied
    assert decide("df -h", policy).decision == commands.NEEDS_APPROVAL
    assert decide("free", policy).risk == "destructive"
    assert decide("journalctl -g x", policy).is_denied
    assert decide("kubectl scale deploy/a --replicas=1 -n x", policy).is_denied
    assert decide("kubectl get pods", policy).decision == commands.ALLOW


@pytest.mark.parametrize(
    "text, said",
    [
        ("programs: {sudo: {risk: read-only}}", "replaces: sudo"),
        (
            "programs: {kubectl: {commands: {exec: {risk: read-only}}}}",
            "replaces: kubectl.exec",
        ),
        (
            "programs: {kubectl: {flags: {--kubeconfig: word}}}",
            "replaces: --kubeconfig",
        ),
        (
            "programs: {kubectl: {commands: {version: {flags: {--kubeconfig: word}}}}}",
            "replaces: --kubeconfig",
        ),
        (
            "programs: {kubectl: {commands: {mine: {risk: read-only, flags: {--as: word}}}}}",
            "replaces: --as",
        ),
        ("programs: {kill: {risk: read-only}}", "replaces: kill"),
        ("programs: {kill: {ask: false}}", "replaces: kill"),
        ("programs: {df: {args: text}}", "replaces: df"),
        ("programs: {df: {replaces: du, risk: read-only}}", "not itself"),
        ("programs: {mine: {replaces: mine, risk: read-only}}", "not itself"),
        ("programs: {tail: {flags: {-n --lines: text}}}", "replaces: --lines"),
        ("programs: {mine: {risk: harmless}}", "risk"),
        ("programs: {mine: {about: x}}", "no risk"),
        ("programs: {mine: {risk: read-only, flag: {}}}", "unknown key"),
        ("programs: {mine: {risk: read-only, args: [wrod]}}", "wrod"),
        ("programs: {mine: {risk: read-only, flags: {x: none}}}", "unusable"),
        ("programs: {mine: {risk: read-only, flags: {-x: {vlaue: none}}}}", "vlaue"),
        (
            "programs: {mine: {risk: read-only, flags: {-x: {value: int 1..5, default: '9'}}}}",
            "default",
        ),
        ("programs: {mine: {risk: read-only, flags: {-x: int five}}}", "LOW..HIGH"),
        ("programs: {mine: {risk: read-only, flags: {-x: either word}}}", "two patterns"),
        ("programs: {mine: {risk: read-only, flags: {-x: {value: word, asked: bad}}}}", "risk"),
        ("programs: {mine: {risk: read-only, inside: anywhere}}", "after the name"),
        ("programs: {tail: {flags: {-f: none}}}", "replaces: -f"),
        ("programs: {mine: {risk: read-only, args: path nowhere, count: '1'}}", "nowhere"),
        ("patterns: {word: '.*'}", "another name"),
        ("patterns: {mine: '('}\nprograms: {mine: {risk: read-only, args: [mine]}}", "unusable"),
        ("patterns: {mine: '<mine>'}\nprograms: {mine: {risk: read-only, args: [mine]}}", "usable"),
        ("lists: {never_units: {only: []}}", "without"),
        ("lists: {never_units: {without: [nothing]}}", "nothing"),
        ("lists: {units: nginx}", "map"),
        ("kinds: {global: {x: []}}", "namespaced and cluster"),
        ("programs: {mine: {risk: read-only, args: word, count: some}}", "unusable"),
        ("programs: {mine: {risk: read-only, args: 7}}", "unusable"),
        ("programs: {mine: {risk: read-only, flags: {-x: {risk_of: 7}}}}", "unusable"),
        ("programs: {mine: {risk: read-only, resources: {kinds: [nothing]}}}", "nothing"),
        ("programs: {mine: {risk: read-only}, mine: {risk: read-only}}", "twice"),
        ("program: {}", "unknown section"),
        ("- a", "map"),
        ("a: [", "cannot read"),
        ("programs: {7: {risk: read-only}}", "map of texts"),
    ],
)
def test_site_that_weakens_unnamed_or_makes_no_sense_is_refused(site, text, said):
    with pytest.raises(ConfigError, match=said):
        site(text)


def test_site_that_names_what_it_weakens_is_heard(site):
    policy = site(
        """
        lists:
          never_kinds: {without: [secrets]}
        kinds:
          namespaced: {secrets: [secret]}
        programs:
          sync: {replaces: sync, risk: read-only, flags: {-f: none}}
          kubectl:
            flags:
              --context: {value: enum prod stage, replaces: --context}
            commands:
              exec: {replaces: kubectl.exec, risk: disruptive, ask: true, args: label, count: '1'}
        """
    )
    assert decide("sync -f", policy).decision == commands.ALLOW
    assert decide("kubectl --context=prod get pods", policy).decision == commands.ALLOW
    assert decide("kubectl --context=else get pods", policy).is_denied
    assert decide("kubectl exec web", policy).decision == commands.NEEDS_APPROVAL
    assert decide("kubectl exec web -- sh", policy).is_denied
    assert decide("kubectl get secret", policy).decision == commands.ALLOW
    assert objection(decide("kubectl get secret", policy), policy) == ""


def test_missing_site_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_policy(str(tmp_path / "none.yaml"))


def test_laying_a_site_over_the_table_leaves_the_built_in_one_as_it_was(site):
    site("lists: {units: [mine]}")
    assert "mine" not in POLICY.document["lists"]["units"]
    assert "mine" not in table.load()["lists"]["units"]


def test_programs_are_found_without_parsing_and_none_is_missed():
    import yaml

    found = table.built_in_programs()
    for path in table.TABLE_FOLDER.glob("*.yaml"):
        parsed = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {name for name in found if found[name] == path} == set(parsed.get("programs", {}))


def test_a_row_that_cannot_be_read_denies_its_program_and_no_other(tmp_path):
    path = tmp_path / "commands.yaml"
    path.write_text("programs: {df: {risk: harmless}, free: {args: [x]}}")
    policy = load_policy(str(path))
    for command in ("df -h", "free -m"):
        decision = decide(command, policy)
        assert decision.is_denied and decision.rule == "table.unusable"
    assert decide("uptime", policy).decision == commands.ALLOW
