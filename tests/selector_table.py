"""Which parameters of which actions name what is worked on, what may be given there all the same,
and what each action is given so that nothing else is wrong.
"""

from __future__ import annotations

PATTERN = "v1:" + "0123456789" * 2
OTHER_PATTERN = "v1:" + "a" * 20

# The kinds of names. What is in a set may be given all the same, since it means no more than one
# thing, or says in words what it means.
ID = frozenset()  # one incident, question, fingerprint, breaker: nothing else will do
WORDS = frozenset({"all", "ALL", "everything"})  # where any word names just what has that name
OPTIONAL = frozenset({"", "missing", "null"})  # not given: by hand, any of a list, no such filter

# Of Kubernetes: a name says in which namespace just one object is, in small letters.
SMALL_WORDS = frozenset({"all", "everything"})
NAMED = {
    "namespace": SMALL_WORDS,
    "name": SMALL_WORDS,
    "kind": OPTIONAL,  # then there must be one object of that name
    "cluster": OPTIONAL,
}

# action -> parameter -> what of HOSTILE is no error there.
SELECTORS = {
    "acknowledge": {"incident_id": ID},
    "analyze_incident": {"incident_id": ID, "run_id": OPTIONAL},
    "approval_asked": {"inquiry_id": ID},
    "approval_list": {
        "incident_id": OPTIONAL, "question": OPTIONAL,
        "status": frozenset({"missing", "null", "all"}),
    },
    "approve": {"question": ID},
    "audit_verify": {"scope": frozenset({"all"}), "expected_seal": OPTIONAL},
    "automated_remediation": {"incident_id": ID, "run_id": OPTIONAL},
    "breaker_force": {"name": ID},
    "breaker_list": {"state": OPTIONAL, "kind": OPTIONAL},
    "breaker_reset": {"name": ID},
    "close_incident": {"incident_id": ID, "run_id": OPTIONAL},
    "create_incident_ticket": {"incident_id": ID, "run_id": OPTIONAL},
    "determine_response_strategy": {"incident_id": ID, "run_id": OPTIONAL},
    "elk_search_errors": {"target": frozenset({"missing", "null"})},
    "error_explain": {"fingerprint": ID},  # there is nothing else to explain
    "error_pattern_get": {"fingerprint": ID},
    "error_pattern_list": {"type": OPTIONAL, "severity": OPTIONAL},
    "error_pattern_merge": {"fingerprint": ID, "into": ID},
    "escalate_to_oncall": {"incident_id": ID, "run_id": OPTIONAL},
    "incident_get": {"incident_id": ID},
    "incident_report": {"incident_id": ID},
    "incident_list": {"status": OPTIONAL, "severity": OPTIONAL, "source": OPTIONAL | WORDS},
    "incident_response": {"incident_id": ID},
    "incident_timeline": {"incident_id": ID},
    **{
        "jira_" + name: {**names, "target": frozenset({"missing", "null"})}
        for name, names in {
            "assign": {"issue": ID},
            "attach": {"issue": ID, "incident_id": OPTIONAL},
            "comment": {"issue": ID},
            "create_issue": {"project": OPTIONAL | WORDS},  # what there is none of, Jira refuses
            "get_issue": {"issue": ID},
            "link": {"issue": ID, "other": ID},
            "search": {"jql": ID},
            "transition": {"issue": ID},
        }.items()
    },
    **{
        "k8s_" + name: dict(NAMED, **more)
        for name, more in {
            "apply_hpa": {},
            "delete_pod": {},
            "evict_pod": {},
            "reschedule_pod": {},
            "restart_workload": {},
            "rollback_workload": {},
            "scale_workload": {},
            "set_resources": {"container": OPTIONAL | WORDS},
        }.items()
    },
    "k8s_cordon_node": {"name": SMALL_WORDS, "cluster": OPTIONAL},
    "k8s_diagnose": dict(NAMED, namespace=OPTIONAL | SMALL_WORDS),  # a node has none
    "k8s_recommend_resources": NAMED,
    "k8s_scale_by_metric": NAMED,
    "k8s_service_health": {name: NAMED[name] for name in ("namespace", "name", "cluster")},
    "k8s_uncordon_node": {"name": SMALL_WORDS, "cluster": OPTIONAL},
    "observe_incident": {"incident_id": ID, "run_id": OPTIONAL},
    "outbox_discard": {"outbox_id": ID},
    "outbox_list": {"status": OPTIONAL, "channel": OPTIONAL | WORDS, "incident_id": OPTIONAL},
    "outbox_retry": {"outbox_id": ID, "channel": ID},
    "pause": {
        "scope": ID, "namespace": ID, "cluster": ID, "remedy": ID, "incident": ID,
    },
    "reject": {"question": ID},
    "remediate": {"incident_id": ID, "run_id": OPTIONAL},
    "report_failure": {"execution_id": OPTIONAL, "incident_id": OPTIONAL},
    "request_approval": {"incident_id": ID, "run_id": OPTIONAL},
    "resume": {
        "scope": ID, "namespace": ID, "cluster": ID, "remedy": ID, "incident": ID,
    },
    **{
        "servicenow_" + name: {**names, "target": frozenset({"missing", "null"})}
        for name, names in {
            "add_work_note": {"ticket": ID},
            "attach": {"ticket": ID, "incident_id": OPTIONAL},
            "create_incident": {"correlation_id": OPTIONAL},
            "find_incidents": {"correlation_id": OPTIONAL},
            "get_incident": {"ticket": ID},
            "reopen_incident": {"ticket": ID},
            "resolve_incident": {"ticket": ID},
            "update_incident": {"ticket": ID},
        }.items()
    },
    "run_runbook": {"name": ID, "incident_id": ID},
    "runbook_list": {"incident_id": OPTIONAL},
    "settle_approval": {"incident_id": ID, "approval_id": ID, "run_id": OPTIONAL},
    "silence_create": {"matchers": ID, "incident_id": OPTIONAL, "cluster": OPTIONAL},
    "silence_expire": {"silence_id": ID, "incident_id": ID, "cluster": OPTIONAL},
    "silence_list": {
        "state": frozenset({"missing", "null", "all"}), "incident_id": OPTIONAL,
        "cluster": OPTIONAL,
    },
    "ticket_list": {"incident_id": OPTIONAL, "status": OPTIONAL, "tracker": OPTIONAL | WORDS},
    "ticket_sync": {"incident_id": OPTIONAL},
    "undo_remediation": {"incident_id": ID, "run_id": OPTIONAL},
    "verify_resolution": {"incident_id": ID, "run_id": OPTIONAL},
    "why": {"incident_id": ID},
}

_WORDS_OF_A_PERSON = "words for those who come after; nothing is chosen by them"
_WHO = "immutable; StackStorm fills it in"
_NAME_THERE = "asked for by its exact name where it is; none, or several, is an error or told"
_AMOUNT = "how much, not of what; what is no amount is refused (test_kubernetes_operations)"
_ALERTS = "an alert that says itself what is wrong where; what is no alert is refused (test_parse)"
# Every other parameter that is no number and no yes or no: why it names nothing.
NO_SELECTORS = {
    "approval_asked": {"route": "anybody's question; what is none of ours is left alone"},
    "acknowledge": {"note": _WORDS_OF_A_PERSON, "who": _WHO},
    "approve": {
        "comment": _WORDS_OF_A_PERSON, "who": _WHO, "via": _WHO,
        "code": "which plan is meant; a wrong one is refused (test_approval_codes)",
    },
    "breaker_force": {
        "state": "what to do, one of three words", "reason": _WORDS_OF_A_PERSON, "who": _WHO,
    },
    "breaker_reset": {"reason": _WORDS_OF_A_PERSON, "who": _WHO},
    "close_incident": {"resolution": "how it ended, one of three words"},
    "determine_response_strategy": {"response_level": "how to respond, one of four words"},
    "elk_search_errors": {
        "query": "narrows a search that only reads; empty adds no condition",
        "index": "an index pattern by intent, only read; empty is the configured one",
    },
    "error_explain": {"message": "the text to explain", "stack": "the text to explain"},
    "error_pattern_list": {"order": "how the list is sorted"},
    "escalate_to_oncall": {"reason": "why, one of the words of the workflow"},
    "incident_report": {"format": "how it is written, one of two words"},
    "ingest_alertmanager": {"payload": _ALERTS},
    "jira_assign": {"to": "one person; who is not just one is refused (test_jira_by_hand)"},
    "jira_attach": {"name": "what a new file is called", "content": _WORDS_OF_A_PERSON},
    "jira_comment": {"text": _WORDS_OF_A_PERSON},
    "jira_create_issue": {
        "summary": _WORDS_OF_A_PERSON, "description": _WORDS_OF_A_PERSON,
        "severity": "how bad it is, one of four words",
        "issue_type": "what it is; what there is none of, Jira refuses (test_jira_tracker)",
        "labels": "words that are added; what is no word is refused (test_jira_by_hand)",
    },
    "jira_link": {"kind": "how they belong together; else Jira refuses (test_jira_by_hand)"},
    "jira_transition": {
        "to": "where to; what the workflow has not is refused (test_jira_moves)",
        "resolution": "how it ended; what a screen has not is not set (test_jira_moves)",
    },
    **{
        "k8s_" + name: {"who": _WHO, **dict.fromkeys(options, _AMOUNT)}
        for name, options in {
            "apply_hpa": ("queue_length", "request_seconds"),
            "cordon_node": (),
            "delete_pod": (),
            "evict_pod": (),
            "reschedule_pod": (),
            "restart_workload": (),
            "rollback_workload": (),
            "scale_workload": (),
            "set_resources": ("memory", "cpu", "memory_request", "cpu_request"),
            "uncordon_node": (),
        }.items()
    },
    "k8s_scale_by_metric": {
        "query": "what is asked of Prometheus; anything but one value is refused "
        "(test_scale_by_metric)",
        "who": _WHO,
    },
    "outbox_discard": {"reason": _WORDS_OF_A_PERSON, "who": _WHO},
    "outbox_retry": {"who": _WHO},
    "pause": {"reason": _WORDS_OF_A_PERSON, "who": _WHO},
    "prometheus_alert_handler": {"alert_data": _ALERTS, "response_level": "how to respond"},
    "chat_help": {"topic": "what is explained; what there is not is answered with the nearest"},
    "reject": {"comment": _WORDS_OF_A_PERSON, "who": _WHO},
    "run_runbook": {"who": _WHO},
    "report_failure": {
        "subject": "the title of a message, whatever it says: a net that refuses nothing",
        "status": "the text of a message, whatever it says",
    },
    "resume": {"who": _WHO},
    **{
        "servicenow_" + name: {
            "fields": "what to write; a field that is none is refused (test_servicenow_by_hand)",
            "title": _WORDS_OF_A_PERSON,
            "description": _WORDS_OF_A_PERSON,
            "severity": "how bad it is, one of four words",
            "assignment_group": _NAME_THERE,
            **more,
        }
        for name, more in {
            "create_incident": {
                "caller": _NAME_THERE,
                "category": "a value of a choice list",
                "subcategory": "a value of a choice list",
                "fingerprint": "the text of a field",
                "work_notes": _WORDS_OF_A_PERSON,
            },
            "update_incident": {},
        }.items()
    },
    "servicenow_add_work_note": {"text": _WORDS_OF_A_PERSON},
    "servicenow_attach": {"name": "what a new file is called", "content": _WORDS_OF_A_PERSON},
    "servicenow_find_incidents": {
        "title": "narrows a search that only reads",
        "state": "narrows a search that only reads; one of six words",
        "assignment_group": _NAME_THERE,
    },
    "servicenow_reopen_incident": {"reason": _WORDS_OF_A_PERSON},
    "servicenow_resolve_incident": {
        "notes": _WORDS_OF_A_PERSON, "close_code": "a value of a choice list",
    },
    "settle_approval": {"answer": "what was said, one of three words"},
    "silence_create": {"comment": _WORDS_OF_A_PERSON, "who": _WHO},
    "silence_expire": {"who": _WHO},
}

HOSTILE = {
    "": "",
    "blank": " \t",
    "star": "*",
    "all": "all",
    "ALL": "ALL",
    "everything": "everything",
    "percent": "%",
    "like": "inc-%",
    "glob": "inc-?",
    "list in a text": "inc-1,inc-2",
    "SQL": "x' OR '1'='1",
    "nul": "\0",
    "name and nul": "inc-1\0",
    "very long": "x" * 100000,
    "half a character": "\ud800",
    "list": ["inc-1"],
    "empty list": [],
    "map": {"inc-1": 1},
    "number": 7,
    "truth": True,
    "null": None,
}
# Else it is refused for another reason.
GIVEN = {
    "analyze_incident": {"incident_id": "inc-1"},
    "approval_asked": {"inquiry_id": "inq-9", "route": "selfheal.apr-1"},
    "approve": {"question": "apr-1"},
    "audit_verify": {"scope": "inc-1"},
    "breaker_force": {"name": "prometheus", "state": "open", "reason": "a test"},
    "breaker_reset": {"name": "prometheus"},
    "error_pattern_get": {"fingerprint": PATTERN},
    "error_pattern_merge": {"fingerprint": PATTERN, "into": OTHER_PATTERN},
    "jira_assign": {"issue": "OPS-1", "to": "ann"},
    "jira_attach": {"issue": "OPS-1", "name": "a.txt", "content": "a test"},
    "jira_comment": {"issue": "OPS-1", "text": "a test"},
    "jira_create_issue": {"summary": "a test"},
    "jira_get_issue": {"issue": "OPS-1"},
    "jira_link": {"issue": "OPS-1", "other": "OPS-2"},
    "jira_search": {"jql": "labels = selfheal"},
    "jira_transition": {"issue": "OPS-1", "to": "Done"},
    **{
        "k8s_" + name: {"namespace": "shop", "name": "cart", **options}
        for name, options in {
            "apply_hpa": {},
            "delete_pod": {},
            "evict_pod": {},
            "reschedule_pod": {},
            "restart_workload": {},
            "rollback_workload": {},
            "scale_workload": {"to": 3},
            "set_resources": {"memory": "512Mi"},
        }.items()
    },
    "k8s_cordon_node": {"name": "worker-3"},
    "k8s_diagnose": {"namespace": "shop", "name": "cart"},
    "k8s_recommend_resources": {"namespace": "shop", "name": "cart"},
    "k8s_scale_by_metric": {
        "namespace": "shop", "name": "cart", "query": "vector(1)", "high": 2, "low": 1,
    },
    "k8s_service_health": {"namespace": "shop", "name": "cart"},
    "k8s_uncordon_node": {"name": "worker-3"},
    "reject": {"question": "apr-1"},
    "report_failure": {"subject": "a test", "status": "failed"},
    "servicenow_add_work_note": {"ticket": "INC0010023", "text": "a test"},
    "servicenow_attach": {"ticket": "INC0010023", "name": "a.txt", "content": "a test"},
    "servicenow_create_incident": {"title": "a test"},
    "servicenow_find_incidents": {"state": "new"},
    "servicenow_get_incident": {"ticket": "INC0010023"},
    "servicenow_reopen_incident": {"ticket": "INC0010023"},
    "servicenow_resolve_incident": {"ticket": "INC0010023", "notes": "a test"},
    "servicenow_update_incident": {"ticket": "INC0010023", "title": "a test"},
    "silence_create": {"matchers": 'alertname="X"'},
    "silence_expire": {"silence_id": "sil-1"},
    "run_runbook": {"name": "start_failed_unit", "incident_id": "inc-1"},
    "settle_approval": {"incident_id": "inc-1", "approval_id": "apr-1", "answer": "no"},
}
