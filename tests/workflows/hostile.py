"""Text as somebody would write it who wants it evaluated, and where to put it in an action's
result.
"""

from __future__ import annotations

import json

from tests.workflows.plays import Answer

CANARY = (
    "{{ config_context.jira_password }} {{ .Values.x }} <% ctx() %> <%= erb %> {% raw %} "
    "$(reboot) `id` \x1b[31m 6*7"
)


def leaves(value):
    """Every plain value inside, keys included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def stuffed(answer):
    """The same answer with hostile text in every other place of the result."""
    if isinstance(answer, list):
        return [stuffed(one) for one in answer]
    result = json.loads(json.dumps(answer.result))
    noise = {"title": CANARY, "reasons": [CANARY], "labels": {CANARY: CANARY}, "error": CANARY}
    for key in ("result", "output"):
        if isinstance(result.get(key), dict):
            result[key] = dict(noise, **result[key])
    return Answer(answer.status, dict(result, stdout=CANARY, stderr=CANARY))
