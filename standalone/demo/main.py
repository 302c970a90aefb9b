"""`python -m standalone demo`: breaks a small service for real and shows how the pack heals it.

Exit 0 when the incident was resolved, 1 when it ended otherwise (the scenario `unfixable` ends
escalated, and so does a plan that was not approved), 2 when the demo itself could not run, 130
after Ctrl-C. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from standalone.demo.faults import FAULTS
from standalone.demo.shop import NAME, wait_for
from standalone.demo.stage import SCENARIOS, DemoError, Settings, Stage
from standalone.demo.story import Ending, Story
from standalone.demo.terminal import Terminal
from standalone.demo.view import View

SUBTITLES = {
    "heal": "A small shop takes orders. It breaks, for real; the pack finds out, mends it, proves "
    "it and closes the incident.",
    "unfixable": "A small shop takes orders. It breaks in a way that no runbook can mend; the pack "
    "tries, takes back what it did and calls the on-call engineer.",
    "elk": "A small shop takes orders and writes a log. It breaks, for real; the pack finds the "
    "errors in the log, mends their cause, reads on until they have stopped and closes the "
    "incident.",
    "approve": "A small shop takes orders. It breaks, for real; the pack knows what to do and asks "
    "you first.",
}
DRAIN_S = 60.0
INTERRUPTED = 130
AGAIN_S = 0.5
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def main(argv: Optional[List[str]] = None) -> int:
    """Runs the demo and returns its exit code."""
    settings = _settings(sys.argv[1:] if argv is None else argv)
    view = View(Terminal())
    be_interrupted()
    try:
        return _run(settings, view)
    except KeyboardInterrupt:
        _on_signals((signal.SIGALRM,), signal.SIG_IGN)
        view.end(False, "stopped; nothing is left running")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
        return 1
    except (DemoError, RuntimeError, OSError) as error:
        view.end(False, "the demo cannot go on: %s" % error)
        return 2


def _run(settings: Settings, view: View) -> int:
    live = ", live with Prometheus and Alertmanager" if settings.live else ""
    view.title("selfheal demo: %s%s" % (settings.scenario, live), SUBTITLES[settings.scenario])
    stage = Stage(settings)
    try:
        view.waits_for("starting the shop%s" % (", Prometheus, Alertmanager" if live else ""))
        view.tick()
        stage.start()
        _show_start(stage, view)
        broken_at = time.time()
        done = FAULTS[settings.scenario](stage.shop)
        stage.settle_symptom()
        symptom = "GET /health: %s" % stage.shop.health()
        view.step("bad", "broken", done[0], [*done[1:], symptom], "red")
        view.waits_for("nobody has noticed yet")
        ending = Story(stage, view).follow(broken_at)
        stage.customers.stop()
        if ending.incident_id:
            _show_timeline(stage, view, ending.incident_id)
        _show_end(stage, view, ending)
    finally:
        # A second Ctrl-C must not leave half of it running.
        _on_signals((signal.SIGINT, *_ENDING), signal.SIG_IGN)
        stage.close()
        _on_signals((signal.SIGINT,), signal.default_int_handler)
    if settings.keep or settings.home:
        view.details(["everything is kept in %s" % stage.home])
    view.last_line(json.dumps(_facts(ending)))
    return 0 if ending.is_resolved else 1


def _show_start(stage: Stage, view: View) -> None:
    details = ["the pack listens at %s" % stage.engine.api_url]
    if stage.settings.live:
        details.append(
            "Prometheus at %s, Alertmanager at %s"
            % (getattr(stage.detector, "prometheus_url", ""), stage.detector.url)
        )
    if stage.settings.scenario == "elk":
        details.append("its log %s is looked at every second" % stage.shop.log)
    text = "%s at %s, process %s, taking orders" % (NAME, stage.shop.url, stage.shop.pid())
    view.step("up", "service up", text, details, "green")


def _show_timeline(stage: Stage, view: View, incident_id: str) -> None:
    about = {"incident_id": incident_id}
    shown = stage.engine.run("selfheal.incident_timeline", about, timeout=DRAIN_S)
    if shown.status == "succeeded":
        view.timeline(incident_id, shown.result["result"]["entries"])
    else:
        view.step("bad", "incident_timeline", shown.status, (), "red")


def _show_end(stage: Stage, view: View, ending: Ending) -> None:
    shop, placed = stage.shop, stage.customers.placed
    if ending.is_resolved:
        wait_for(lambda: shop.ledger() >= placed, DRAIN_S)
    orders = "%d orders placed, %d worked off, %d waiting" % (
        placed,
        shop.ledger(),
        shop.health().waiting,
    )
    if ending.is_resolved:
        how = str(ending.resolution or "").replace("_", " ")
        text = "resolved (%s) %.1f s after the fault" % (how, ending.seconds)
    elif ending.incident_id:
        text = "%s, not resolved, %.1f s after the fault" % (ending.status, ending.seconds)
    else:
        text = "no incident was opened"
    view.end(ending.is_resolved, text, [part for part in (ending.problem, orders) if part])


def _facts(ending: Ending) -> Dict[str, Any]:
    return {
        "incident_id": ending.incident_id,
        "status": ending.status,
        "strategy": ending.strategy,
        "actions": ending.actions,
        "seconds": round(ending.seconds, 2),
    }


def _settings(argv: List[str]) -> Settings:
    parser = argparse.ArgumentParser(
        prog="python -m standalone demo",
        description=__doc__.partition("\n\n")[0],
        epilog="Exit code: 0 resolved, 1 ended otherwise (as unfixable does), 2 the demo could not "
        "run, 130 Ctrl-C. The last line printed is one JSON object: incident_id, status, strategy, "
        "actions, seconds (from the fault to the end of the incident).",
    )
    parser.add_argument(
        "--scenario",
        choices=SCENARIOS,
        default="heal",
        help="heal: the runbook mends it (default); unfixable: it cannot; approve: you are asked; "
        "elk: found by its log",
    )
    parser.add_argument(
        "--live", action="store_true", help="with a real Prometheus and a real Alertmanager"
    )
    parser.add_argument(
        "--yes", action="store_true", help="approve without asking (scenario approve)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the directory with database, logs, configuration"
    )
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="an empty directory to use and keep"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=90.0,
        metavar="S",
        help="seconds the response may take (default 90)",
    )
    given = parser.parse_args(argv)
    if given.live and given.scenario == "elk":
        parser.error("elk watches a log file: it needs neither Prometheus nor --live")
    return Settings(given.scenario, given.live, given.yes, given.keep, given.home, given.timeout)


def be_interrupted() -> None:
    """From now on Ctrl-C and its like raise KeyboardInterrupt until somebody ignores them."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _on_signals((signal.SIGINT,), _interrupt)
    _on_signals(_ENDING, _interrupt)


def _interrupt(_number: int, _frame: Any) -> None:
    known = sys.exc_info()[1]
    while known is not None:
        if isinstance(known, KeyboardInterrupt):
            return  # it was heard: what ends because of it must not be left half done
        known = known.__context__
    # Raised while a destructor or a weak reference's callback runs, it is swallowed: so once more.
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
    raise KeyboardInterrupt


def _on_signals(numbers: Sequence[int], handler: Any) -> None:
    try:
        for number in numbers:
            signal.signal(number, handler)
    except ValueError:
        return  # not in the main thread: whoever started us stops us


if __name__ == "__main__":
    sys.exit(main())
