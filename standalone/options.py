"""What the command line accepts, and the help texts that say so; the commands are in cli.py."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from standalone.rendering import SYSTEM_USER

PACK_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_HOME = "~/.local/state/selfheal-standalone"

_ABOUT = """\
Runs the pack on this machine without StackStorm: the same YAML, rules, workflows and actions, in
one process, reachable on 127.0.0.1 only. For trying it, showing it and testing it; production
belongs to StackStorm.

  python -m standalone demo                                  break a small service, watch it healed
  python -m standalone webhook prometheus_alert alert.json   send an alert in, follow it to its end
  python -m standalone run selfheal.incident_list limit=5    run one action
  python -m standalone serve --timers --sensors              stay, as a small installation would
"""
_JSON = "machine-readable: JSON lines on stdout and nothing else there"

Command = Callable[[argparse.Namespace], int]


def parse(arguments: Sequence[str], commands: Mapping[str, Command]) -> argparse.Namespace:
    """The options of one command; `command` is what runs it. Exits with usage when it makes no
    sense.
    """
    parser = argparse.ArgumentParser(
        prog="python -m standalone",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = parser.add_subparsers(metavar="COMMAND", required=True)
    shared = _shared()
    for name, (text, describe) in _COMMANDS.items():
        one = choices.add_parser(name, parents=[shared], help=text, description=text)
        one.set_defaults(command=commands[name])
        describe(one)
    choices.add_parser("demo", help="break a small service, watch it healed (demo --help)")
    return parser.parse_args(arguments)


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--config",
        metavar="FILE",
        help="the pack's configuration (default: HOME/<pack>.yaml, if there is one)",
    )
    shared.add_argument(
        "--home",
        metavar="DIR",
        default=os.environ.get("SELFHEAL_HOME") or DEFAULT_HOME,
        help="where state is kept: datastore, SQLite database, API key (default: %(default)s)",
    )
    shared.add_argument(
        "--enable",
        metavar="RULE",
        action="append",
        default=[],
        help="run this rule although its YAML has it off; 'all' for every rule; may be repeated",
    )
    shared.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=600,
        help="how long to follow what happens (default: %(default)s)",
    )
    shared.add_argument("--pack", metavar="DIR", default=str(PACK_ROOT), help=argparse.SUPPRESS)
    return shared


def _webhook(one: Any) -> None:
    one.add_argument("name", metavar="NAME", help="the webhook, such as prometheus_alert")
    one.add_argument("file", metavar="FILE", help="the body as it would be posted; - for stdin")
    one.add_argument("--json", action="store_true", help=_JSON)


def _run(one: Any) -> None:
    one.add_argument("action", metavar="ACTION", help="selfheal.incident_list or incident_list")
    one.add_argument(
        "parameters", metavar="NAME=VALUE", nargs="*", help="read by the type the action declares"
    )
    one.add_argument("--json", action="store_true", help=_JSON)
    _who(one)


def _who(one: Any) -> None:
    one.add_argument(
        "--as",
        dest="who",
        metavar="NAME",
        default=_login_name(),
        help="who does it (default: %(default)s)",
    )


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return SYSTEM_USER


def _sensor(one: Any) -> None:
    one.add_argument("name", metavar="NAME", help="its class or file, such as alertmanager_sensor")
    one.add_argument("--once", action="store_true", help="one poll, then follow what it caused")


def _serve(one: Any) -> None:
    one.add_argument(
        "--port", type=int, default=9101, help="default: %(default)s; 0 takes a free one"
    )
    one.add_argument("--timers", action="store_true", help="run the rules on timers")
    one.add_argument("--sensors", nargs="*", metavar="NAME", help="run these, or all enabled ones")


def _trigger(one: Any) -> None:
    one.add_argument("ref", metavar="REF", help="such as selfheal.alert")
    one.add_argument("payload", metavar="JSON", help="the payload as a JSON object")
    one.add_argument("--json", action="store_true", help=_JSON)


def _alias(one: Any) -> None:
    one.add_argument("text", metavar="TEXT", help="what one would type in chat, without the !")
    _who(one)


_COMMANDS: Mapping[str, Any] = {
    "webhook": (
        "post a file to a webhook, print its incidents at their end; exit 0 when all ended",
        _webhook,
    ),
    "run": ("run one action and print its result; exit 1 when it fails", _run),
    "sensor": ("run a sensor of the pack", _sensor),
    "serve": ("stay: take webhooks over HTTP until interrupted", _serve),
    "trigger": ("inject a trigger and follow it to the end", _trigger),
    "alias": ("run a chat command, such as: alias 'heal list'", _alias),
}
