"""Secrets in text from outside are hidden wherever logs put them, what explains a failure stays,
and nobody can make the looking slow.
"""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selfheal.diagnose.redaction import Redacted, redact, total
from selfheal.text import HIDDEN

JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)
PEM_BODY = "\n".join(["MIIEpAIBAAKCAQEA" + "x7Yz" * 12] * 4 + ["q83vEjRWeJA="])

# line, what must be gone, what must stay
SECRET = [
    ("level=error msg=login password=hunter2 user=ann", "hunter2", "user=ann"),
    ("password = 'hunter 2' host=db", "hunter 2", "host=db"),
    ('{"user":"ann","password":"hun\\"ter2","host":"db"}', "ter2", '"host":"db"'),
    ('{"dbPassword": 4711, "port": 5432}', "4711", '"port": 5432'),
    (r'msg="{\"api_key\":\"abc123def\",\"n\":1}"', "abc123def", r"\"n\":1"),
    ("{'token': 'abcdef', 'retries': 3}", "abcdef", "'retries': 3"),
    ("config: DB_PASSWORD: hunter2", "hunter2", "DB_PASSWORD"),
    ("{Host:db Password:hunter2 Port:5432}", "hunter2", "Port:5432"),
    ("User(name=ann, password=hunter2, age=3)", "hunter2", "age=3"),
    ("pw:password=hunter,2 next", "hunter,2", "next"),
    ("env PGPASSWORD=hunter2 psql -h db", "hunter2", "psql -h db"),
    ("--password hunter2 --user ann", "hunter2", "--user ann"),
    ('args: ["--token", "abc", "--client-secret=s3cr3t"]', "s3cr3t", "--client-secret="),
    ("exec: mysqldump --password=hunter2 shop", "hunter2", "shop"),
    ("GET /cb?code=1&access_token=abc.def&state=9 HTTP/1.1", "abc.def", "&state=9"),
    ("POST body=grant_type=password&client_secret=s3cr3t&scope=a", "s3cr3t", "&scope=a"),
    ("Authorization: Bearer abc.def-ghi", "abc.def-ghi", "Authorization"),
    ("> Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "Authorization"),
    ("curl -H 'Authorization: token 12345' http://api/x", "12345", "http://api/x"),
    ("headers=map[Accept:[*/*] Authorization:[Bearer zzz yyy]]", "zzz yyy", "Accept:[*/*]"),
    ('{"Authorization":"Digest username=x"}', "username=x", "Authorization"),
    ("Set-Cookie: sid=31d4; Path=/; HttpOnly", "31d4", "Set-Cookie"),
    ("Cookie: a=1; JSESSIONID=F00", "F00", "Cookie"),
    ("X-Api-Key: 1234-abcd", "1234-abcd", "X-Api-Key"),
    ("x-auth-token: 1234abcd", "1234abcd", "x-auth-token"),
    ("request failed with bearer A1b2C3d4E5", "A1b2C3d4E5", "request failed"),
    ("got %s from sso" % JWT, JWT[-20:], "from sso"),
    ("url=https://x/?jwt=%s&y=1" % JWT, "dozjgNry", "&y=1"),
    ("denied for AKIAIOSFODNN7EXAMPLE in eu-1", "AKIAIOSFODNN7EXAMPLE", "in eu-1"),
    ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrX", "aws_secret"),
    ("key AIzaSyA-1234567890abcdefghijklmnopqrstu used", "AIzaSyA", "used"),
    ("push to ghp_abcdefghijklmnopqrstuvwxyz0123456789 failed", "ghp_abc", "failed"),
    ("slack xoxb-123456789012-abcdefABCDEF says no", "xoxb-1234", "says no"),
    ("https://hooks.slack.com/services/T00/B00/XXXX answered 404", "B00", "answered 404"),
    ("openai: sk-proj-abcdefghijklmnop1234 is out of quota", "sk-proj", "out of quota"),
    ("stripe sk" + "_live_abcdefgh1234 refused", "live_abc", "refused"),
    ("postgres://app:s3cr3t@db:5432/shop timed out", "s3cr3t", "app:********@db:5432/shop"),
    ("redis://:s3cr3t@cache:6379/0", "s3cr3t", "@cache:6379/0"),
    ("amqp://u:p@ss@mq/vhost closed", "p@ss", "@mq/vhost closed"),
    ("mongodb://a:b1b2@m1:27017,m2:27017/x?authSource=admin", "b1b2", "m2:27017"),
    ("postgres://app:s/cr3t@db/shop", "s/cr3t", "@db/shop"),
    ("dsn app:s3cr3t@tcp(db:3306)/shop", "s3cr3t", "@tcp(db:3306)/shop"),
    ("Server=db;User Id=sa;Password=s3cr3t;Encrypt=true", "s3cr3t", "Encrypt=true"),
    ("AccountName=x;AccountKey=aGVsbG8=;EndpointSuffix=y", "aGVsbG8", "EndpointSuffix=y"),
    ("git clone https://0123456789abcdef0123@github.com/a/b", "0123456789abcdef0123", "/a/b"),
    ("CREATE USER app IDENTIFIED BY password 's3cr3t' x", "s3cr3t", "CREATE USER app"),
    ("<db><password>hunter2</password><port>1</port></db>", "hunter2", "<port>1</port>"),
    (":password=>\"hunter2\", :port=>1", "hunter2", ":port=>1"),
    ("password: \"cut off in the mid", "cut off", "password"),
    ("token=abc\tnext", "abc", "next"),
    ("-----BEGIN RSA PRIVATE KEY-----\n%s\n-----END RSA PRIVATE KEY-----\nup" % PEM_BODY,
     "MIIEpAIB", "up"),
    (r"key: -----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n, port 1",
     "MIIEvQ", "port 1"),
    ("-----BEGIN EC PRIVATE KEY-----\n" + PEM_BODY, "MIIEpAIB", "BEGIN EC"),
    (PEM_BODY + "\n-----END PRIVATE KEY-----\nup", "MIIEpAIB", "up"),
    ("curl -u admin:s3cr3t http://api/x", "s3cr3t", "curl -u admin:"),
    ('exec ["curl", "--user", "a"] curl --user \'ann:s3cr3t\' -v', "s3cr3t", "-v"),
    ("mysql -h db -u root -ps3cr3t shop", "s3cr3t", "shop"),
    ("sshpass -p 's3 cr3t' ssh host", "cr3t", "ssh host"),
    ("docker login -u me -p s3cr3t registry", "s3cr3t", "registry"),
    ("redis-cli -h cache -a s3cr3t ping", "s3cr3t", "ping"),
    ("ALTER USER app IDENTIFIED BY 's3cr3t' x", "s3cr3t", "ALTER USER app"),
    ("jdbc:oracle:thin:scott/s3cr3t@//db:1521/x", "s3cr3t", "@//db:1521/x"),
    ("bindpw=s3cr3t uri=ldap://x", "s3cr3t", "uri=ldap://x"),
    ("SMTP_PW=s3cr3t host=mail", "s3cr3t", "host=mail"),
    ("requirepass s3cr3t", "s3cr3t", "requirepass"),
    ('args: ["--api-key", "s3cr3t", "--port", "80"]', "s3cr3t", '"--port", "80"'),
    ("GET /x?next=password%3Ds3cr3t y", "s3cr3t", "GET /x"),
    (".dockerconfigjson: eyJhdXRocyI6eyJyZWciOnsiYXV0aCI6ImRYTmxjanB3WVhOeiJ9fX0= x",
     "eyJhdXRocyI6", "dockerconfigjson"),
]

HARMLESS = [
    'Error: secret "db-creds" not found',
    'MountVolume.SetUp failed for volume "default-token-x7" : secret "default-token-x7" not found',
    "couldn't find key password in Secret shop/db",
    "max_tokens=512 tokens: 15",
    "secretName: db-creds",
    "password_file=/run/secrets/db: no such file",
    "token_type=bearer expires_in=3600",
    "PWD=/srv/app",
    "author=ann authority=x bypass=true passed: 7 monkey=1 keyboard=us",
    "password: required",
    "GET http://shop:8080/cart?mail=a@b.example 500",
    "failed to pull image registry.example/shop@sha256:0123456789abcdef",
    "basic authentication is off, bearer authentication is on",
    "Back-off restarting failed container app in pod cart-7c9d8-abcde",
    "git@github.com:a/b.git ssh://git@host/x",
    "java.lang.NullPointerException: at com.shop.TokenFilter.doFilter(TokenFilter.java:12)",
    "password=null token: none",
    "exit code 137, OOMKilled",
    "auth-service: connection refused",
    "auth: connection refused",
    "GET http://auth:8080/health 503, token-svc:8080 timed out",
    "signature: verification failed",
    "failed to create secret: already exists",
    "unable to read secret: permission denied",
    "session cookie: disabled",
    "tokenizer: gpt2",
    "tests pass: 45 fail: 0",
    "docker run --user 1000:1000 app",
    'names: ["token", "kind"]',
    "sig=SIGTERM received",
]


@pytest.mark.parametrize("line, gone, stays", SECRET)
def test_a_secret_is_hidden_and_counted_and_the_rest_stays(line, gone, stays):
    found = redact(line)
    assert gone not in found.text
    assert stays in found.text
    assert HIDDEN in found.text and found.count >= 1


@pytest.mark.parametrize("line", HARMLESS)
def test_what_explains_a_failure_stays(line):
    assert redact(line) == Redacted(line, {})


@pytest.mark.parametrize("line", [line for line, _, _ in SECRET])
def test_doing_it_twice_changes_nothing_and_counts_nothing(line):
    once = redact(line).text
    again = redact(once)
    assert (again.text, again.hidden) == (once, {})


@pytest.mark.parametrize(
    "line, kind",
    [
        ("password=x1 token=y2", "password"),
        ("Authorization: Bearer x", "authorization"),
        ("postgres://a:b@c", "url"),
        ("x AKIAIOSFODNN7EXAMPLE", "cloud_key"),
        ("x " + JWT, "jwt"),
        ("a:b1@tcp(c)", "connection"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "private_key"),
    ],
)
def test_what_was_hidden_is_counted_by_kind(line, kind):
    assert redact(line).hidden == {kind: 2 if kind == "password" else 1}


def test_counts_of_several_texts_add_up():
    assert total(redact("token=a1"), redact("token=b1 x://a:b@c")) == {"password": 2, "url": 1}


def test_mail_addresses_are_hidden_only_where_asked_for():
    line = "mail to ann.bee+x@shop.example.com bounced"
    assert redact(line).text == line
    assert redact(line, hides_emails=True).text == "mail to ******** bounced"
    assert redact(line, hides_emails=True).hidden == {"email": 1}


def test_a_log_of_many_lines_keeps_its_lines():
    lines = [line for line, _, _ in SECRET if "\n" not in line and "cut off" not in line]
    found = redact("\n".join(lines))
    assert len(found.text.split("\n")) == len(lines)
    for line, _, stays in SECRET:
        if line in lines:
            assert stays in found.text


KEYS = st.sampled_from(
    ["password", "DB_PASSWORD", "apiKey", "client_secret", "accessToken", "x-api-key", "passwd"]
)
# What no reader could take for a word of a sentence or a number of a port.
VALUES = st.text("abcdefghXYZ0123456789-_.~", min_size=6, max_size=40).filter(
    lambda value: value[0] not in "-" and any(sign.isdigit() for sign in value)
)


@given(key=KEYS, value=VALUES, form=st.sampled_from(
    ["%s=%s", "%s: %s", '"%s": "%s"', "'%s':'%s'", r"\"%s\":\"%s\"", "--%s %s", "%s=%s&a=1",
     "{%s:%s}", "x=1,%s=%s,y=2", "%s = '%s'", "<%s>%s</x>"]
), around=st.text(max_size=30))
def test_a_named_value_is_hidden_in_every_form(key, value, form, around):
    assume(value not in around and "<" not in around and ">" not in around)
    assert value not in redact("%s\n%s\n%s" % (around, form % (key, value), around)).text


@given(user=st.text("abc", max_size=5), password=st.text(
    "abcXYZ019!$*()+,;=-._~%@", min_size=1, max_size=30), host=st.text("abc.", min_size=1))
def test_the_password_of_a_url_is_hidden_whatever_is_in_it(user, password, host):
    found = redact("to db://%s:%s@%s/x" % (user, password, host))
    assert found.text == "to db://%s:%s@%s/x" % (user, HIDDEN, host)


@given(st.binary(min_size=3, max_size=30), st.text("abc:", max_size=10))
def test_basic_credentials_are_hidden_wherever_they_stand(password, user):
    value = base64.b64encode(user.encode() + b":" + password).decode()
    assert value not in redact("sent basic %s to it" % value).text


@given(st.text())
def test_any_text_is_taken_and_twice_is_once(text):
    once = redact(text, hides_emails=True)
    assert redact(once.text, hides_emails=True).text == once.text
    assert (once.count == 0) == (once.text == text)


BLOCKS = st.sampled_from(
    ["password", "=", ":", '"', "\\", "'", "://", "@", "a:b", "eyJ", ".", "----",
     "-----BEGIN PRIVATE KEY-", "-----END PRIVATE KEY-----", "Authorization: ", "bearer ", "\n",
     " ", "[", "]", "<", ">", "token", "--token ", "sk-", "A" * 20, ",", ";", HIDDEN, "=>", "tcp("]
)


@given(st.lists(BLOCKS, max_size=40).map("".join))
def test_any_mixture_of_signs_is_hidden_once(text):
    once = redact(text, hides_emails=True)
    assert redact(once.text, hides_emails=True).text == once.text


HOSTILE = [
    "password", "password=", "password:", 'password="', "password='\\", "\\", '\\"', "://", "://a:",
    "://a:b@", "a@", "eyJ", "eyJa.", "eyJaaaaaaa.bb", "bearer ", "basic a",
    "-----BEGIN PRIVATE KEY-", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----",
    "A" * 64 + "\n", "token=,", "token=;a", "Authorization:[", "Authorization: ", "<password>",
    "--token ", "a.", "a@b.", "0123456789:AA",
    "api_key", "sk-", "AKIA", "pass", ",a ", "a:b", "secret ", "x" * 99 + "=", "a_b-", "   ", "\t:",
    "mysql a ", "mysql -p", "docker login a ", "redis-cli ", "-u a", " -u a:", "identified by '",
    "jdbc:oracle:thin:a/", "sshpass -p ", "mysql" + " a" * 9,
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_length_and_nothing_else(piece):
    def seconds(size):
        text = (piece * (size // len(piece) + 1))[:size]
        start = time.process_time()
        redact(text, hides_emails=True)
        return time.process_time() - start

    small, large = 1 << 14, 1 << 17  # eight times as long: a square would be 64 times as much
    limit = 24 * max(min(seconds(small) for _ in range(3)), 0.002)
    # Neighbours on the machine only add to it, never so at every one of many looks.
    assert any(seconds(large) < limit for _ in range(30))
