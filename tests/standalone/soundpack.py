"""A small pack in which nothing is wrong, for tests that break one thing in it."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.standalone import minipack

ACTION = """\
    name: act
    runner_type: python-script
    entry_point: run.py
    description: Does it.
    enabled: true
    parameters:
      target: {type: string, required: true, position: 0, description: What to act on.}
      count: {type: integer, default: 3, minimum: 0, position: 1}
      note: {type: string, secret: true}
      function: {type: string, immutable: true, default: minilib.work.act}
      timeout: {default: 120}
    """
FLOW = """\
    name: flow
    runner_type: orquesta
    entry_point: workflows/flow.yaml
    parameters:
      target: {type: string, required: true}
    """
WORKFLOW = """\
    version: 1.0
    input:
      - target
    vars:
      - done: false
    tasks:
      first:
        action: mini.act
        input:
          target: <% ctx().target %>
        next:
          - when: <% succeeded() %>
            publish:
              - done: true
            do: last
      last:
        action: core.noop
    output:
      - done: <% ctx().done %>
    """
RULE = """\
    name: hook
    pack: mini
    description: Starts it.
    enabled: true
    trigger: {type: core.st2.webhook, parameters: {url: hook}}
    criteria:
      trigger.body.status: {type: exists, pattern: true}
      trigger.body.status#2: {type: equals, pattern: firing}
      trigger.body.alerts:
        type: search
        condition: any
        pattern: {item.name: {type: iregex, pattern: "^web"}}
    action:
      ref: mini.flow
      parameters: {target: "{{ trigger.body.target | default('') }}"}
    """
OWN_RULE = """\
    name: own
    trigger: {type: mini.event}
    action: {ref: mini.act, parameters: {target: "{{ trigger.target }}"}}
    """
TRIGGER = """\
    name: event
    pack: mini
    payload_schema:
      type: object
      additionalProperties: true
      properties: {target: {type: string}}
    """
SENSOR = """\
    class_name: Look
    entry_point: look.py
    description: Looks.
    poll_interval: 30
    trigger_types:
      - {name: seen, payload_schema: {type: object}}
    """
SENSOR_CODE = """\
    from st2reactor.sensor.base import PollingSensor


    class Look(PollingSensor):
        def setup(self): pass
        def poll(self): pass
        def cleanup(self): pass
        def add_trigger(self, trigger): pass
        def update_trigger(self, trigger): pass
        def remove_trigger(self, trigger): pass
    """
POLICY = """\
    name: act.one
    resource_ref: mini.act
    policy_type: action.concurrency.attr
    parameters: {threshold: 1, action: delay, attributes: [target]}
    """
ALIAS = """\
    name: act
    action_ref: mini.act
    formats:
      - "act on {{ target }}"
      - display: act <target> <count>
        representation: ["act {{ target }} {{ count=3 }}"]
    immutable_parameters: {note: chat}
    ack: {enabled: true, format: "on it"}
    result: {format: "done"}
    """
SCHEMA = """\
    url: {type: string, default: "http://here"}
    token: {type: string, secret: true}
    targets:
      type: object
      properties: {count: {type: integer, default: 1}}
      additionalProperties: {type: object, properties: {url: {type: string}}}
    """
EXAMPLE = """\
    url: http://there
    token: "{{ st2kv.system.token }}"
    targets: {edge: {url: u}}
    """
RUN = """\
    from st2common.runners.base_action import Action


    class Run(Action):
        def run(self, function, **parameters):
            return True, {}
    """
LIBRARY = """\
    def act(ctx, target, count=3, note=None):
        return {}
    """
LICENCE = "Apache License\nVersion 2.0\nhttp://www.apache.org/licenses/LICENSE-2.0\n"
FILES = {
    "pack.yaml": minipack.MANIFEST,
    "LICENSE": LICENCE,
    "actions/run.py": RUN,
    "actions/act.yaml": ACTION,
    "actions/flow.yaml": FLOW,
    "actions/workflows/flow.yaml": WORKFLOW,
    "actions/lib/minilib/__init__.py": "",
    "actions/lib/minilib/work.py": LIBRARY,
    "rules/hook.yaml": RULE,
    "rules/own.yaml": OWN_RULE,
    "triggers/event.yaml": TRIGGER,
    "sensors/look.yaml": SENSOR,
    "sensors/look.py": SENSOR_CODE,
    "policies/act.yaml": POLICY,
    "aliases/act.yaml": ALIAS,
    "config.schema.yaml": SCHEMA,
    "mini.yaml.example": EXAMPLE,
}


def icon(width: int = 64, height: int = 64) -> bytes:
    """The beginning of a PNG of that size, which is all that is looked at."""
    return (
        b"\x89PNG\r\n\x1a\n" +
        struct.pack(">I", 13) +
        b"IHDR" +
        struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    )


def write(root: Path) -> Path:
    """The sound pack under `root`."""
    minipack.write(root, FILES)
    (root / "icon.png").write_bytes(icon())
    return root
