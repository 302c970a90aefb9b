"""The kinds of action that standalone runs, with the parameters each kind adds to its actions.

Promises the names, types and defaults of StackStorm's own runners; running them is done elsewhere.
"""

from __future__ import annotations

from typing import Any, Dict

__all__ = ["RUNNER_PARAMETERS"]

# Parameters that a runner adds to every action of its kind (StackStorm:
# contrib/runners/*/runner.yaml).
RUNNER_PARAMETERS: Dict[str, Dict[str, Dict[str, Any]]] = {
    "python-script": {
        "debug": {"type": "boolean", "required": False, "default": False},
        "content_version": {"type": "string", "required": False},
        "env": {"type": "object"},
        "timeout": {"type": "integer", "default": 600},
        "log_level": {
            "type": "string",
            "default": "DEBUG",
            "enum": ["AUDIT", "CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"],
        },
    },
    "orquesta": {
        "notify": {
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1, "pattern": r"^\w+$"},
            "default": [],
        },
    },
    "inquirer": {
        "schema": {
            "type": "object",
            "required": True,
            "default": {
                "title": "response_data",
                "type": "object",
                "properties": {
                    "continue": {
                        "type": "boolean",
                        "description": "Would you like to continue the workflow?",
                        "required": True,
                    },
                },
            },
        },
        "route": {"type": "string", "required": False, "default": ""},
        "roles": {"type": "array", "required": False, "default": []},
        "users": {"type": "array", "required": False, "default": []},
        "ttl": {"type": "integer", "required": True, "default": 1440},
    },
    "noop": {},
}
