"""The service that the demo breaks: it takes orders over HTTP, spools them, and works them off one
by one.

    python service.py DIRECTORY        DIRECTORY holds service.json: {"port", "spool_limit",
    "owner_pid"}

Like many services it trusts its lock file: whoever holds it works, everybody else waits. It never
looks whether the holder is still alive, so a crash leaves it locked out of its own spool until
somebody removes the lock and restarts it. It ends by itself when the process `owner_pid` is gone.
Standard library only; started and stopped by servicectl.py.
"""

import json
import os
import signal
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TICK_S = 0.02
SETTINGS = "service.json"
PRICES = "prices.json"
LOCK = "orders.lock"
LEDGER = "ledger.jsonl"
SPOOL = "spool"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"


class Orders:
    """The spool, the lock and the ledger. One thread of `work` takes orders off the spool."""

    def __init__(self, directory, spool_limit):
        self.directory = Path(directory)
        self.spool_limit = spool_limit
        self.handled = 0
        self._locked_out_by = ""
        self._taken = 0
        self._is_stopping = threading.Event()
        self._counting = threading.Lock()

    def begin(self):
        """Takes the lock if nobody has it. Asked once, at start, as such services do."""
        try:
            with open(str(self.directory / LOCK), "x") as lock:
                lock.write("%d\n" % os.getpid())
        except FileExistsError:
            self._locked_out_by = self._holder() or "unknown"
            _log("WARN", "another process works; this one only takes orders")

    def end(self):
        """Finishes the order at hand and gives the lock back."""
        self._is_stopping.set()
        if self._holder() == str(os.getpid()):
            (self.directory / LOCK).unlink()

    def take(self, order):
        """Spools one order and returns its number, or None when the spool is full."""
        if self.waiting() >= self.spool_limit:
            return None
        with self._counting:
            self._taken += 1
            number = "%d-%06d" % (time.time() * 1000, self._taken)
        path = self.directory / SPOOL / number
        path.with_suffix(".part").write_text(json.dumps(order))
        path.with_suffix(".part").rename(path)
        problem = self.problem()
        if problem:
            _log("ERROR", "order %s waits: %s" % (number, problem))
        return number

    def waiting(self):
        """How many orders lie in the spool."""
        return sum(1 for name in os.listdir(str(self.directory / SPOOL)) if "." not in name)

    def problem(self):
        """Why no order is worked off, in words; empty when all is well."""
        holder = self._holder() or self._locked_out_by  # who was locked out once stays so
        if holder != str(os.getpid()):
            return (
                "the spool is locked by process %s" % holder
                if holder
                else "this process lost its lock"
            )
        if not (self.directory / PRICES).exists():
            return "the price list %s is missing" % PRICES
        if self.waiting() >= self.spool_limit:
            return "the spool is full"
        return ""

    def work(self):
        """Works orders off until told to stop."""
        while not self._is_stopping.wait(TICK_S):
            if self.problem() in ("", "the spool is full"):
                for name in sorted(os.listdir(str(self.directory / SPOOL))):
                    if "." not in name:
                        self._work_off(self.directory / SPOOL / name)

    def _work_off(self, path):
        prices = json.loads((self.directory / PRICES).read_text())
        order = json.loads(path.read_text())
        line = {
            "order": path.name,
            "item": order.get("item"),
            "price": prices.get(order.get("item")),
        }
        with open(str(self.directory / LEDGER), "a") as ledger:
            ledger.write(json.dumps(line) + "\n")
        path.unlink()
        self.handled += 1

    def _holder(self):
        try:
            return (self.directory / LOCK).read_text().strip()
        except FileNotFoundError:
            return ""


class Handler(BaseHTTPRequestHandler):
    """GET /health, /metrics, /; POST /orders. `orders` and `requests` are set on the class."""

    protocol_version = "HTTP/1.1"
    orders = None
    requests = 0

    def do_GET(self):
        type(self).requests += 1
        if self.path == "/health":
            self._answer_health()
        elif self.path == "/metrics":
            self._answer(200, _metrics(self.orders, self.requests), PLAIN)
        elif self.path == "/":
            self._answer(200, "orders: %d waiting\n" % self.orders.waiting(), PLAIN)
        else:
            self._answer(404, "no such page\n", PLAIN)

    def do_POST(self):
        type(self).requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            order = json.loads(body.decode("utf-8"))
            item = order["item"]
        except (ValueError, KeyError, TypeError):
            return self._answer(400, '{"error": "an order is {\\"item\\": ...}"}\n')
        number = self.orders.take({"item": str(item)})
        if number is None:
            return self._answer(503, '{"error": "the spool is full"}\n')
        return self._answer(202, json.dumps({"order": number}) + "\n")

    def log_message(self, *_words):
        """The access log would drown what matters."""

    def _answer_health(self):
        problem = self.orders.problem()
        state = {
            "status": "failing" if problem else "ok",
            "problem": problem,
            "waiting": self.orders.waiting(),
            "handled": self.orders.handled,
            "pid": os.getpid(),
        }
        self._answer(503 if problem else 200, json.dumps(state) + "\n")

    def _answer(self, status, text, content_type="application/json"):
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A restart takes the port over at once."""

    allow_reuse_address = True
    daemon_threads = True


def _log(level, text):
    """One line of service.log."""
    now = datetime.now().astimezone().isoformat(timespec="milliseconds")
    sys.stderr.write("%s %s [orders] %s\n" % (now, level, text))


def _metrics(orders, requests):
    lines = []
    for name, kind, text, value in (
        ("demo_up", "gauge", "1 while orders are worked off.", 0 if orders.problem() else 1),
        ("demo_orders_waiting", "gauge", "Orders in the spool.", orders.waiting()),
        (
            "demo_orders_handled_total",
            "counter",
            "Orders worked off by this process.",
            orders.handled,
        ),
        ("demo_requests_total", "counter", "Requests answered by this process.", requests),
    ):
        lines += [
            "# HELP %s %s" % (name, text),
            "# TYPE %s %s" % (name, kind),
            "%s %d" % (name, value),
        ]
    return "\n".join(lines) + "\n"


def _watch(owner_pid):
    while True:
        time.sleep(0.5)
        try:
            os.kill(owner_pid, 0)
        except ProcessLookupError:
            os._exit(3)
        except PermissionError:
            continue


def main(directory):
    """Serves until SIGTERM."""
    directory = Path(directory)
    settings = json.loads((directory / SETTINGS).read_text())
    orders = Orders(directory, settings["spool_limit"])
    Handler.orders = orders
    server = Server(("127.0.0.1", settings["port"]), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    orders.begin()
    if settings.get("owner_pid"):
        threading.Thread(target=_watch, args=(settings["owner_pid"],), daemon=True).start()
    worker = threading.Thread(target=orders.work)
    worker.start()
    try:
        server.serve_forever(poll_interval=0.05)
    finally:
        orders.end()
        worker.join()
        server.server_close()


if __name__ == "__main__":
    main(sys.argv[1])
