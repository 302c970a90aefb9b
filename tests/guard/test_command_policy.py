"""What the command policy decides: the corpora, kubectl as a typed operation, risk, advice."""

from __future__ import annotations

import subprocess

import pytest

from selfheal.guard.commands import ALLOW, DENY, NEEDS_APPROVAL, lexer, load_policy
from selfheal.guard.commands.second_reading import objection
from selfheal.remedy.model import RISKS
from tests import needs
from tests.guard.command_words import (
    ALLOWED,
    BOLD,
    EVASIVE,
    EVERYDAY,
    NEEDING_APPROVAL,
    decide,
)

CALM = ("read-only", "reversible")


def test_corpora_are_as_large_as_promised():
    assert len(set(EVERYDAY)) >= 200
    assert len(set(EVASIVE)) >= 500
    assert not set(EVERYDAY) & set(EVASIVE)


def test_everyday_commands_are_allowed():
    for command in ALLOWED:
        decision = decide(command)
        assert decision.decision == ALLOW, (command, decision.reason)
        assert decision.risk in CALM and decision.argv


def test_everyday_changes_ask_a_person():
    for command in NEEDING_APPROVAL:
        decision = decide(command)
        assert decision.decision == NEEDS_APPROVAL, (command, decision.reason)
        assert decision.argv and "person" in decision.reason


@pytest.mark.parametrize("policy", ["safe mode", "no safe mode"])
def test_no_evasion_is_allowed_nor_offered_for_approval(policy):
    chosen = {"no safe mode": BOLD}.get(policy)
    got_through = [
        command
        for command in EVASIVE
        if not (decide(command, chosen) if chosen else decide(command)).is_denied
    ]
    assert got_through == []


@pytest.mark.parametrize(
    "command",
    [
        "df\nreboot",
        "df \x00",
        "kubectl get pods\r\nreboot",
        "df\u2028reboot",
        "df\x0breboot",
        "df\x85",
        "df \ud800",
    ],
)
def test_commands_that_no_line_of_a_file_can_hold_are_denied(command):
    assert decide(command).is_denied


def test_every_denial_reads_like_advice():
    for command in EVASIVE:
        decision = decide(command)
        assert decision.decision == DENY and decision.argv == () and decision.inverse == ()
        what, _, advice = decision.reason.partition("(rule %s). " % decision.rule)
        assert what.startswith("Refused ") and len(advice) > 10, command
        assert advice == decision.advice
        assert "(safety.command_table): `" in advice or "no row can" in advice.lower(), command
        assert decision.reason.isascii() and "\n" not in decision.reason
        assert decision.risk in RISKS


@pytest.mark.parametrize(
    "command, token",
    [
        ("kubectl attach web", "attach"),
        ("kubectl exec web -n shop -- sh", "sh"),
        ("docker exec web cat /etc/shadow", "/etc/shadow"),
        ("kubectl get pods --kubeconfig=/tmp/x", "--kubeconfig=/tmp/x"),
        ("kubectl get pods,secrets", "secrets"),
        ("kubectl delete pod x -n kube-system", "kube-system"),
        ("cat /etc/shadow", "/etc/shadow"),
        ("systemctl restart sshd", "sshd"),
        ("journalctl -mu nginx", "-mu"),
        ("find /var/log -delete", "-delete"),
        ("sudo reboot", "sudo"),
        ("frobnicate", "frobnicate"),
        ("/tmp/df -h", "/tmp/df"),
        ("docker restart", "docker restart"),
    ],
)
def test_denial_names_what_it_refused(command, token):
    decision = decide(command)
    assert decision.token == token
    assert ascii(token) in decision.reason


@pytest.mark.parametrize(
    "command, argv",
    [
        ("df -h", "df -h"),
        ("journalctl -u nginx -n5", "journalctl --no-pager --unit=nginx --lines=5"),
        ("journalctl -n 5 -u nginx", "journalctl --no-pager --lines=5 --unit=nginx"),
        ("tail -50 /var/log/syslog", "tail --lines=50 /var/log/syslog"),
        ("tail /var/log/syslog -n 50", "tail --lines=50 /var/log/syslog"),
        ("kubectl logs web -n shop", "kubectl --namespace=shop logs --tail=2000 pods/web"),
        ("kubectl logs web app", "kubectl logs --tail=2000 --container=app pods/web"),
        ("kubectl get po,svc -A", "kubectl get -A pods,services"),
        ("kubectl get po a b", "kubectl get pods/a pods/b"),
        ("kubectl get deploy/a sts/b", "kubectl get deployments/a statefulsets/b"),
        ("kubectl top po a", "kubectl top po a"),
        ("docker logs --tail=5 web", "docker logs --tail=5 web"),
        ("find /tmp /var -xdev -name x", "find /tmp /var -xdev -name x"),
        ("dig +short example.com", "dig example.com +short"),
        ("lsof -i :80", "lsof -i:80"),
        ("kubectl logs d --prefix=true", "kubectl logs --prefix --tail=2000 pods/d"),
        ("kubectl get po -n=shop -owide", "kubectl --namespace=shop get --output=wide pods"),
        ("journalctl -b -1", "journalctl --no-pager --boot=-1 --lines=1000"),
        ("journalctl -b -r", "journalctl --no-pager --boot -r --lines=1000"),
        ("curl -m5 http://localhost", "curl -q -g --max-time 5 http://localhost"),
        ("/usr/bin/systemctl status nginx", "/usr/bin/systemctl --no-pager status nginx"),
        ("tail -f /var/log/syslog", "tail /var/log/syslog"),
        ("journalctl -fu nginx", "journalctl --no-pager --unit=nginx --lines=1000"),
        ("kubectl logs --follow=true web", "kubectl logs --tail=2000 pods/web"),
        ("docker exec -it web df -h", "docker exec web df -h"),
        (
            "kubectl exec web -c app -n shop -- tail -20 /var/log/x",
            "kubectl --namespace=shop exec --container=app pods/web -- tail --lines=20 /var/log/x",
        ),
        ("docker image prune -a", "docker image prune -f -a"),
    ],
)
def test_the_words_to_run_are_written_anew(command, argv):
    assert list(decide(command).argv) == argv.split()


def test_what_does_not_end_is_left_out_and_a_person_is_told():
    decision = decide("kubectl logs -f web -n shop")
    assert decision.decision == NEEDS_APPROVAL and decision.risk == "read-only"
    assert "-f is left out: it does not end by itself" in decision.reason
    assert "left out" not in decide("kubectl logs web -n shop").reason


def test_a_command_inside_a_container_is_judged_as_on_this_host_and_asks():
    for policy in (None, BOLD):
        for command in ("docker exec web df -h", "kubectl exec web -n shop -- df -h"):
            chosen = decide(command, policy) if policy else decide(command)
            assert chosen.decision == NEEDS_APPROVAL and chosen.risk == "disruptive", command
    assert decide("docker exec web mysql -e 'show processlist'").decision == NEEDS_APPROVAL
    assert decide("docker exec web mysql -e 'drop table x'").rule == "mysql.--execute"
    assert decide("docker exec web docker exec db df").rule == "docker.exec"
    assert decide("kubectl exec web -n shop -- jmap -histo:live 7").risk == "disruptive"


def test_a_value_that_asks_has_a_risk_of_its_own():
    asked = decide('psql -c "select pg_terminate_backend(4211)"')
    assert (asked.decision, asked.risk) == (NEEDS_APPROVAL, "disruptive")
    plain = decide('psql -c "select 1"')
    assert (plain.decision, plain.risk) == (ALLOW, "read-only")
    assert decide('psql -c "select pg_terminate_backend(4211)"', BOLD).decision == NEEDS_APPROVAL


def test_words_with_blanks_stay_one_word():
    assert decide("grep 'a b' /var/log/x").argv == ("grep", "a b", "/var/log/x")


def test_kubectl_becomes_a_typed_operation():
    operation = decide("kubectl -n shop scale deploy web --replicas 3").operation
    assert operation.verb == "scale"
    assert operation.resources == (("deployments", "web"),)
    assert operation.namespace == "shop"
    assert dict(operation.options)["--replicas"] == "3"
    logs = decide("kubectl logs web app -l x=y").operation
    assert (logs.container, logs.selector) == ("app", "x=y")
    image = decide("kubectl set image deploy/web app=web:2 -n shop").operation
    assert image.changes == ("app=web:2",)


@pytest.mark.parametrize(
    "command, inverse",
    [
        ("kubectl cordon worker-1", "kubectl uncordon worker-1"),
        ("kubectl drain worker-1", "kubectl uncordon worker-1"),
        (
            "kubectl rollout restart deploy/web -n shop",
            "kubectl --namespace=shop rollout undo deployments/web",
        ),
        (
            "kubectl rollout pause deploy/web -n shop",
            "kubectl --namespace=shop rollout resume deployments/web",
        ),
        (
            "kubectl scale deploy/web --current-replicas=2 --replicas=5 -n shop",
            "kubectl --namespace=shop scale --replicas=2 deployments/web",
        ),
        ("systemctl stop nginx", "systemctl --no-pager start nginx"),
        ("docker stop -t 5 web", "docker start web"),
        ("docker pause web", "docker unpause web"),
        ("kubectl delete pod web -n shop", ""),
        ("systemctl restart nginx", ""),
        ("df -h", ""),
    ],
)
def test_inverse_is_the_command_that_takes_it_back(command, inverse):
    assert list(decide(command).inverse) == inverse.split()


def test_a_change_without_a_namespace_has_it_written_in_and_asks():
    decision = decide("kubectl rollout restart deploy/web")
    assert decision.decision == NEEDS_APPROVAL
    assert "--namespace=default" in decision.argv


def test_a_change_of_several_objects_asks():
    assert decide("kubectl rollout restart deploy/a -n shop").decision == ALLOW
    assert decide("kubectl rollout restart deploy/a deploy/b -n shop").decision == NEEDS_APPROVAL


@pytest.mark.parametrize(
    "command, risk",
    [
        ("kubectl get pods", "read-only"),
        ("kubectl scale deploy/a --replicas=2 -n shop", "reversible"),
        ("kubectl scale deploy/a --replicas=0 -n shop", "disruptive"),
        ("kubectl delete pod a -n shop", "disruptive"),
        ("kubectl delete pod a -n shop --force", "destructive"),
        ("kubectl delete job a -n shop", "destructive"),
        ("kill 1234", "disruptive"),
        ("kill -9 1234", "destructive"),
        ("frobnicate", "destructive"),
    ],
)
def test_risk_is_the_worst_of_row_flags_and_objects(command, risk):
    assert decide(command).risk == risk


def test_without_safe_mode_only_what_destroys_or_always_asks_needs_a_person():
    assert decide("systemctl restart nginx").decision == NEEDS_APPROVAL
    assert decide("systemctl restart nginx", BOLD).decision == ALLOW
    assert decide("kill -9 1234", BOLD).decision == NEEDS_APPROVAL
    assert decide("kubectl delete job a -n shop", BOLD).decision == NEEDS_APPROVAL


def test_a_unit_that_nobody_listed_asks_even_without_safe_mode():
    assert decide("systemctl restart checkout", BOLD).decision == NEEDS_APPROVAL


def test_an_unknown_path_of_a_local_endpoint_asks():
    assert decide("curl http://localhost:8080/healthz").decision == ALLOW
    assert decide("curl http://localhost:8080/containers/json").decision == NEEDS_APPROVAL
    assert decide("curl 'http://localhost:8080/healthz?x=y'").decision == NEEDS_APPROVAL


@pytest.mark.parametrize(
    "program", "date df du find free head id ls ps stat tail uname uptime wc".split()
)
def test_the_real_program_takes_the_words_to_run(program):
    needs.tool(program)
    tried = [decide(command).argv for command in ALLOWED if command.split()[0] == program]
    assert tried
    for argv in tried:
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=300,
        )
        said = ended.stderr.decode(errors="replace").lower()
        assert "option" not in said and "usage" not in said and "invalid" not in said, (argv, said)


def test_split_words_are_judged_as_the_line_is():
    for command in EVERYDAY:
        assert decide(lexer.words_of(command)) == decide(command)


def test_a_listed_host_whose_name_chooses_another_protocol_needs_http(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("lists: {hosts: [ftp.example.com, app.example.com]}")
    policy = load_policy(str(path))
    assert decide("curl ftp.example.com/health", policy).is_denied
    for command in ("curl http://ftp.example.com/health", "curl app.example.com:8080/health"):
        decision = decide(command, policy)
        assert decision.decision == ALLOW and objection(decision, policy) == "", command
    words = ("curl", "-q", "-g", "ftp.example.com/")
    assert objection(decide("df -h")._replace(argv=words), policy)
