"""Log documents for measurements, as Filebeat, Fluentd, Logstash and services write them: hundreds
of patterns, values that never repeat, about 600 bytes each, the same for the same seed.

The texts are made up. Document ids are built as Elasticsearch builds its own: a fast counter's
bytes first, then the time.
"""

import base64
import functools
import itertools
import json
import random
import struct
import zlib

from selfheal.text import iso

# What went wrong, by program. In braces: the kinds of values below.
MESSAGES = {
    "payment-api": [
        "Failed to charge card for order {id}: gateway timeout after {ms} ms",
        "Payment provider returned HTTP 503 for transaction {uuid}",
        "Refund {id} rejected: amount {float} exceeds captured amount {float}",
        "Could not acquire connection from pool in {ms} ms (active={small}, idle={small})",
    ],
    "order-service": [
        "Order {id} failed validation: quantity {num} is not available in warehouse {small}",
        "Error publishing event order.created to topic orders partition {small} offset {num}",
        "Circuit breaker 'inventory' is OPEN, {num} calls rejected in the last {ms} ms",
        "Unable to deserialize message {uuid}: unexpected character at line 1 column {small}",
    ],
    "checkout": [
        "upstream connect error or disconnect/reset before headers, {small} retries to {ip}:{port}",
        "Request {uuid} timed out after {ms} ms waiting for shipping quote",
        "Session {hex} expired for user {user}, cart of {small} items lost",
    ],
    "postgres": [
        "FATAL:  remaining connection slots are reserved for superuser connections",
        'ERROR:  duplicate key value violates unique constraint "orders_pkey" at character {small}',
        "ERROR:  deadlock detected: process {num} waits for ShareLock on transaction {num}",
        "ERROR:  canceling statement due to statement timeout after {ms} ms, pid {num}",
        "could not receive data from client: Connection reset by peer (pid {num})",
    ],
    "redis": [
        "Error condition on socket for SYNC: Connection refused ({ip}:{port})",
        "OOM command not allowed when used memory > 'maxmemory', client id={num} addr={ip}:{port}",
        "MASTER aborted replication with an error: ERR Can't SYNC while not connected ({num})",
    ],
    "kernel": [
        "Out of memory: Killed process {num} (java) total-vm:{num}kB, anon-rss:{num}kB",
        "EXT4-fs error (device sda{small}): ext4_find_entry:1455: inode #{num}: comm ls",
        "blk_update_request: I/O error, dev sdb, sector {num} op 0x0:(READ) flags 0x0",
        "INFO: task kworker/u8:{small}:{num} blocked for more than 120 seconds.",
        "watchdog: BUG: soft lockup - CPU#{small} stuck for {small}s! [ksoftirqd/1:{num}]",
        "eth0: link is down after {num} packets",
        "segfault at {hex} ip {hex} sp {hex} error 4 in libc-2.31.so[{hex}+{hex}]",
    ],
    "sshd": [
        "Failed password for invalid user {user} from {ip} port {port} ssh2",
        "error: maximum authentication attempts exceeded for {user} from {ip} port {port} ssh2",
        "Connection closed by authenticating user {user} {ip} port {port} [preauth]: failed",
    ],
    "kubelet": [
        'Error syncing pod {uuid}: failed to "StartContainer" for "app" with CrashLoopBackOff',
        'Liveness probe failed: Get "http://{ip}:{port}/healthz": context deadline exceeded',
        "Failed to pull image registry.example/shop/web:{hex}: rpc error: code = NotFound",
        "MountVolume.SetUp failed for volume pvc-{uuid}: mount failed: exit status 32",
        "eviction manager: pods app-{hex} evicted, memory below {num}Ki",
    ],
    "nginx": [
        "connect() failed (111: Connection refused), client: {ip}, upstream: http://{ip}:{port}/a",
        "upstream timed out (110: Connection timed out) while reading the header, client: {ip}",
        "SSL_do_handshake() failed (SSL: error:0A000126) while handshaking, client: {ip}:{port}",
        'open() "/srv/www/{path}" failed (2: No such file or directory), client: {ip}',
    ],
    "kafka": [
        "Error while fetching metadata with correlation id {num} : LEADER_NOT_AVAILABLE",
        "Failed to append records to orders-{small} in /data/{path}: No space left on device",
        "Broker {small} failed to send heartbeat to controller within {ms} ms",
    ],
    "etcd": [
        "failed to send out heartbeat on time (timeout of 100ms exceeded by {ms}ms, to {hex})",
        "lost leader {hex} at term {small}: failed to reach quorum",
    ],
    "scheduler": [
        "job {id} crashed with exit code 137 after {ms} ms on worker {host}",
        "cron task cleanup-{path} failed: exit status 1, {num} files left",
        "lease for job {uuid} expired {ms} ms ago, another worker took it",
    ],
}
# Patterns that differ in constant words only: what a real estate has hundreds of.
_VERBS = ("load", "save", "parse", "delete", "refresh", "publish", "validate", "index", "encode")
_NOUNS = (
    "invoice", "customer profile", "price list", "stock level", "shipping label", "discount rule",
    "audit entry", "search document", "image variant", "tax table", "payment intent", "webhook",
)
_ENDS = (
    "Failed to {verb} {noun} {{id}}: request {{uuid}} took {{ms}} ms",
    "Error: could not {verb} {noun} for user {{user}} from {{ip}}",
    "Exception while trying to {verb} {noun}, attempt {{small}} of 5, trace={{hex}}",
)
_CLASSES = (
    "java.sql.SQLTransientConnectionException", "java.net.SocketTimeoutException",
    "com.example.shop.stock.OutOfStockException", "java.lang.IllegalStateException",
    "org.springframework.web.client.ResourceAccessException", "java.lang.NullPointerException",
)
_FRAMES = (
    "com.example.shop.order.OrderService.place(OrderService.java:{small})",
    "com.example.shop.order.OrderController.post(OrderController.java:{small})",
    "com.example.shop.stock.StockClient.reserve(StockClient.java:{small})",
    "com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:{small})",
    "org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:{small})",
    "java.base/java.lang.Thread.run(Thread.java:{small})",
)
_USERS = ("anna", "bjorn", "chen", "divya", "emeka", "fatima", "goran", "hana", "ivan", "root")


@functools.lru_cache(maxsize=1)
def _of_day(number):
    return iso(number * 86400.0)[:10].replace("-", ".")


def _day(at):
    return _of_day(int(at // 86400))


class Documents:
    """An endless source of hits, as a search answers them: `per_s` for each second from `start`
    on.
    """

    def __init__(self, seed=1, start=1_790_000_000.0, per_s=1000.0):
        self._random = random.Random(seed)
        self._at = start
        self._step_s = 1 / per_s
        self._number = self._random.getrandbits(24)
        self._texts = [(name, text) for name, texts in MESSAGES.items() for text in texts]
        self._texts += [
            ("catalog-%d" % (number % 7), end.format(verb=verb, noun=noun))
            for number, end in enumerate(_ENDS)
            for verb in _VERBS
            for noun in _NOUNS
        ]
        self._random.shuffle(self._texts)
        # As everywhere, few patterns make most of the noise, and most are rare.
        weights = [1 / (rank + 10) for rank in range(len(self._texts))]
        self._weights = list(itertools.accumulate(weights))
        self._shapes = (self._filebeat, self._fluentd, self._syslog, self._ecs, self._java)

    def page(self, size):
        """The bytes of a search's answer with `size` hits."""
        hits = self.hits(size)
        body = {"took": 12, "timed_out": False, "_shards": {"total": 5, "failed": 0}}
        return json.dumps(dict(body, hits={"hits": hits}), separators=(",", ":")).encode()

    def hits(self, count):
        """`count` documents of all shapes, as they were logged one after the other."""
        return [self._hit() for _ in range(count)]

    def key(self):
        """(index and id, time) of the next document alone: to make very many of them quickly."""
        self._at += self._step_s
        return "logstash-%s/%s" % (_day(self._at), self._id(self._at)), self._at

    def _hit(self):
        self._at += self._step_s
        at = self._at
        program, text = self._random.choices(self._texts, cum_weights=self._weights)[0]
        shape = self._random.choices(self._shapes, (36, 20, 25, 17, 2))[0]
        source = dict({"@timestamp": iso(at)}, **shape(program, self._filled(text)))
        index = "logstash-" + _day(at)
        return {"_index": index, "_id": self._id(at), "_source": source, "sort": [int(at * 1000)]}

    def _id(self, at):
        self._number += 1
        fast = struct.pack(">BB", self._number & 0xFF, self._number >> 16 & 0xFF)
        slow = struct.pack(">Q", int(at * 1000))[2:]
        rest = struct.pack(">BI", self._number >> 8 & 0xFF, self._random.getrandbits(16))
        node = b"\x0a\x42\xc0"
        return base64.urlsafe_b64encode(fast + slow[:4] + node + slow[4:] + rest).decode()

    def _filled(self, text):
        bits, between = self._random.getrandbits, self._random.randint
        return text.format(
            id="ORD-%d" % between(10**6, 10**7),
            num=between(1000, 10**6),
            small=between(1, 99),
            ms=between(1000, 60000),
            float="%.2f" % (between(100, 10**6) / 100),
            port=between(1024, 65535),
            ip="10.%d.%d.%d" % (between(0, 255), between(0, 255), between(1, 254)),
            hex="%012x" % bits(48),
            uuid="%08x-%04x-4%03x-a%03x-%012x" % (bits(32), bits(16), bits(12), bits(12), bits(48)),
            user=self._random.choice(_USERS),
            path="%06x/part-%05d" % (bits(24), between(0, 99999)),
            host="worker-%d" % between(1, 40),
        )

    def _pod(self, program):
        """One of the program's 24: three replica sets of eight."""
        replica_set = self._random.randint(1, 3) * 0x1B3F5D7
        pod = zlib.crc32(b"%d" % (replica_set + self._random.randint(1, 8))) & 0xFFFFF
        return "%s-%08x-%05x" % (program, replica_set, pod)

    def _host(self, kind, program):
        """One of the three on which the program runs."""
        first = zlib.crc32(program.encode()) % 40
        return "%s-%d" % (kind, first + self._random.randint(0, 2))

    def _filebeat(self, program, message):
        node = self._host("node", program)
        return {
            "message": message,
            "stream": "stderr",
            "log": {"offset": self._random.getrandbits(24), "level": "error"},
            "host": {"name": node},
            "agent": {"type": "filebeat", "version": "8.13.2"},
            "kubernetes": {
                "namespace": "shop",
                "pod": {"name": self._pod(program), "uid": "%032x" % self._random.getrandbits(128)},
                "container": {"name": program},
                "node": {"name": node},
                "labels": {"app": program, "app_kubernetes_io/name": program},
                "deployment": {"name": program},
            },
        }

    def _fluentd(self, program, message):
        return {
            "log": message + "\n",
            "stream": "stderr",
            "docker": {"container_id": "%064x" % self._random.getrandbits(256)},
            "kubernetes": {
                "container_name": program,
                "namespace_name": "shop",
                "pod_name": self._pod(program),
                "host": self._host("node", program),
                "labels": {"app": program, "pod-template-hash": "7d9c5b6f4"},
                "namespace_labels": {"team": "commerce"},
            },
            "level": "ERROR",
            "tag": "kubernetes.var.log.containers.%s.log" % program,
        }

    def _syslog(self, program, message):
        host, pid = self._host("db", program), self._random.randint(100, 32000)
        return {
            "message": [message],
            "program": program,
            "pid": str(pid),
            "host": host + ".example",
            "logsource": host,
            "severity": 3,
            "severity_label": "Error",
            "facility_label": "daemon",
            "priority": 27,
            "type": "syslog",
            "@version": "1",
            "tags": ["syslog", "production"],
            "event": {"original": "<27>%s[%d]: %s" % (program, pid, message)},
        }

    def _ecs(self, program, message):
        return {
            "message": message,
            "log.level": "ERROR",
            "log.logger": "com.example.%s" % program.replace("-", "."),
            "service.name": program,
            "service.environment": "production",
            "process.thread.name": "http-nio-8080-exec-%d" % self._random.randint(1, 200),
            "trace.id": "%032x" % self._random.getrandbits(128),
            "transaction.id": "%016x" % self._random.getrandbits(64),
            "host": {"hostname": self._host("app", program)},
            "ecs.version": "1.2.0",
            "url": {"path": "/api/v1/%d" % self._random.getrandbits(20)},
        }

    def _java(self, program, message):
        named = _CLASSES[zlib.crc32(program.encode()) % len(_CLASSES)]
        # The lines of a program's code move with a release, not with each error.
        line = zlib.crc32(program.encode()) % 400
        frames = [frame.format(small=line + 7 * at) for at, frame in enumerate(_FRAMES)]
        stack = "%s: %s\n%s" % (named, message, "\n".join("\tat " + frame for frame in frames))
        return dict(
            self._ecs(program, message),
            error={"type": named, "message": message, "stack_trace": stack},
        )
