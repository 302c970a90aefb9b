"""Stack traces: one error stays one, wherever and whenever it was thrown."""

from __future__ import annotations

import pytest

from selfheal.errors import stacks
from selfheal.errors.fingerprint import Fingerprinter

JAVA = """java.lang.IllegalStateException: cannot book order 17
\tat com.acme.shop.Orders.book(Orders.java:88)
\tat com.acme.shop.Orders.lambda$all$3(Orders.java:61)
\tat com.acme.shop.Orders$$Lambda$91/0x0000000800d1.run(Unknown Source)
\tat com.acme.shop.Orders$$FastClassBySpringCGLIB$$ab12.invoke(<generated>)
\tat com.sun.proxy.$Proxy12.save(Unknown Source)
\tat java.base/java.util.concurrent.FutureTask.run(FutureTask.java:264) ~[?:?]
\tat org.springframework.web.Foo.bar(Foo.java:12) [spring-web-5.3.jar!/:5.3]
\tSuppressed: java.io.IOException: closed
\t\tat com.acme.Other.close(Other.java:3)
Caused by: java.net.ConnectException: Connection refused (Connection refused)
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
\tat com.acme.net.Client.open(Client.java:12)
\t... 23 more
"""
PYTHON = """Traceback (most recent call last):
  File "/app/releases/2024/shop/views.py", line 12, in post
    pay(order)
  File "/usr/lib/python3.11/site-packages/stripe/x.py", line 4, in pay
    raise KeyError(1)
KeyError: 1

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/releases/2024/shop/views.py", line 14, in post
    charge()
    ^^^^^^^^
  File "/app/releases/2024/shop/money.py", line 7, in charge
    raise PaymentError(order)
shop.errors.PaymentError: order 7: gone
"""
GO = """panic: runtime error: index out of range [5] with length 3

goroutine 18 [running]:
panic({0x1234, 0xc000})
\t/usr/local/go/src/runtime/panic.go:884 +0x212
main.(*Server).handle.func1(0xc000010000, {0x2, 0x3})
\t/src/app/server.go:88 +0x1d
github.com/acme/shop/store.Load(...)
\t/src/app/store/load.go:12
net/http.(*conn).serve(0xc0)
\t/usr/local/go/src/net/http/server.go:1995 +0x612
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3089 +0x5ed

goroutine 19 [select]:
main.other()
\t/src/app/other.go:1 +0x1
"""
NODE = """TypeError: Cannot read properties of undefined (reading 'id')
    at charge (/app/src/billing.js:10:15)
    at async Promise.all (index 0)
    at async /app/src/worker.js:33:3
    at new Queue (/app/src/queue.js:3:9)
    at Object.<anonymous> (/app/node_modules/express/lib/router.js:3:1)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
"""
DOTNET = """System.InvalidOperationException: Sequence contains no elements
 ---> System.ArgumentException: bad
   at Acme.Billing.Charge(Int32 id) in C:\\src\\Billing.cs:line 12
   --- End of inner exception stack trace ---
   at Acme.Web.OrderController.<Post>d__5.MoveNext() in /src/OrderController.cs:line 40
   at System.Runtime.CompilerServices.TaskAwaiter.ThrowForNonSuccess(Task task)
"""
RUBY = """/app/lib/shop/order.rb:12:in `block in charge': undefined method `id' (NoMethodError)
\tfrom /app/lib/shop/order.rb:10:in `each'
\tfrom /usr/lib/ruby/gems/3.0/gems/rack-2.2/lib/rack.rb:3:in `call'
"""
PHP = """PHP Fatal error:  Uncaught Exception: boo in /var/www/a.php:3
Stack trace:
#0 /var/www/shop/b.php(12): Shop\\Order->charge()
#1 {main}
"""
READ = [
    (JAVA, "java", ("java.lang.IllegalStateException", "java.net.ConnectException"),
     ("com.acme.net.Client.open", "com.acme.shop.Orders.book", "com.acme.shop.Orders.all")),
    (PYTHON, "python", ("shop.errors.PaymentError", "KeyError"),
     ("shop/views.post", "shop/money.charge")),
    (GO, "go", ("runtime error",), ("main.(*Server).handle", "github.com/acme/shop/store.Load")),
    (NODE, "node", ("TypeError",),
     ("src/billing.charge", "src/worker.<anonymous>", "src/queue.Queue")),
    (DOTNET, ".net", ("System.InvalidOperationException", "System.ArgumentException"),
     ("Acme.Billing.Charge", "Acme.Web.OrderController.Post")),
    (RUBY, "ruby", ("NoMethodError",), ("shop/order.charge", "shop/order.each")),
    (PHP, "php", (), ("Shop\\Order->charge",)),
]


@pytest.mark.parametrize(("text", "language", "classes", "frames"), READ, ids=lambda x: str(x)[:12])
def test_the_chain_and_the_own_frames_are_read(text, language, classes, frames):
    trace = stacks.read(text)
    assert (trace.language, trace.classes, trace.frames, trace.is_own) == (
        language, classes, frames, True)


@pytest.mark.parametrize(
    "text", ["", "no trace", "a\nb\nc", "at noon\n at all", "Caused by: x", '  File "x']
)
def test_text_without_frames_is_no_trace(text):
    assert stacks.read(text) is None


# What changes with a deployment, a build or an occurrence.
VARIED = [
    (JAVA, [("Orders.java:88", "Orders.java:91"), ("$$ab12", "$$ff00"),
            ("$Lambda$91/0x0000000800d1", "$Lambda$7/0x0000000900ff"),
            ("order 17", "order 99"), ("lambda$all$3", "lambda$all$12"),
            ("$Proxy12", "$Proxy99"), ("23 more", "25 more")]),
    (PYTHON, [("releases/2024", "releases/2025"), ("line 12", "line 13"), ("order 7", "order 8")]),
    (GO, [("server.go:88", "server.go:90"), ("0xc000010000", "0xc000099999"),
          ("goroutine 18", "goroutine 7"), ("func1", "func2"),
          ("[5] with length 3", "[9] with length 1")]),
    (NODE, [("billing.js:10:15", "billing.js:11:2"), ("/app/src", "/srv/app/src")]),
    (DOTNET, [("line 12", "line 99"), ("d__5", "d__6"), ("C:\\src", "D:\\build")]),
    (RUBY, [("order.rb:12", "order.rb:15")]),
    (PHP, [("b.php(12)", "b.php(14)")]),
]


@pytest.mark.parametrize(("text", "changes"), VARIED, ids=lambda x: str(x)[:12])
def test_line_numbers_addresses_and_details_do_not_split_an_error(text, changes):
    of = Fingerprinter().of
    first = of("Request failed", text)
    for before, after in changes:
        assert before in text
        assert of("Request failed", text.replace(before, after)) == first, (before, after)


def test_another_class_cause_or_place_is_another_error():
    of = Fingerprinter().of
    first = of("Request failed", JAVA)[0]
    for before, after in (
        ("IllegalStateException", "IllegalArgumentException"),
        ("ConnectException", "SocketTimeoutException"),
        ("Orders.book(", "Orders.cancel("),
    ):
        assert of("Request failed", JAVA.replace(before, after))[0] != first
    assert of("Login failed", JAVA)[0] != first


def test_frames_of_libraries_do_not_matter_where_there_are_own_ones():
    of = Fingerprinter().of
    other = JAVA.replace("org.springframework.web.Foo.bar", "org.springframework.web.Foo.baz")
    assert of("x", other) == of("x", JAVA)


def test_frames_of_libraries_count_where_there_are_no_others():
    one = "java.lang.Error: x\n\tat java.util.A.b(A.java:1)\n"
    assert stacks.read(one).frames == ("java.util.A.b",)
    assert not stacks.read(one).is_own
    of = Fingerprinter().of
    assert of("x", one)[0] != of("x", one.replace("A.b", "A.c"))[0]


@pytest.mark.parametrize(("text", "language", "classes", "frames"), READ, ids=lambda x: str(x)[:12])
def test_a_trace_in_the_message_counts_as_one_in_its_field(text, language, classes, frames):
    of = Fingerprinter().of
    embedded = of("Request 17 failed\n" + text)[0]
    assert embedded == of("Request 99 failed\n" + text)[0]
    assert stacks.read("Request 17 failed\n" + text).frames == frames


def test_a_trace_on_one_line_is_unfolded():
    of = Fingerprinter().of
    folded = "Request failed#012" + JAVA.replace("\n", "#012").replace("\t", "#011")
    assert of(folded) == of("Request failed\n" + JAVA)
    escaped = "Request failed\\n" + JAVA.replace("\n", "\\n").replace("\t", "\\t")
    assert of(escaped) == of("Request failed\n" + JAVA)


def test_a_stack_alone_says_what_happened():
    fingerprint, template = Fingerprinter().of("", NODE)
    assert "TypeError" in template and "src/billing.charge" in template
    assert fingerprint == Fingerprinter().of("", NODE.replace("'id'", "'name'"))[0]


def test_the_class_of_the_log_stands_in_for_a_missing_trace():
    of = Fingerprinter().of
    assert of("boom", "", "a.B")[0] != of("boom", "", "a.C")[0]
    assert of("boom", JAVA, "a.B") == of("boom", JAVA)


def test_a_long_recursion_counts_once():
    loop = "\tat com.acme.A.run(A.java:1)\n"
    head = "java.lang.StackOverflowError\n"
    of = Fingerprinter().of
    assert of("x", head + loop * 3) == of("x", head + loop * 900)
