"""A real SMTP server for tests: what it took, parsed as a mail program would; who may log in; what
it refuses.
"""

from __future__ import annotations

import email
import warnings
from email.policy import default

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "selfheal", "smtp-password-1"
_READY_WITHIN_S = 300.0  # it stands still with this process: the library's 5 s are few


class Server:
    """`tls` is a server-side SSLContext, used from the first byte when `is_implicit`, else after
    STARTTLS. `mails` are {"from", "to", "raw", "message"}; `refused` recipients are answered 550;
    `answers` are lines for the next mails instead of taking them (`drop`: taken, then the
    connection ends).
    """

    def __init__(self, tls=None, is_implicit=False, needs_login=False):
        self.mails, self.refused, self.answers = [], set(), []
        server = self

        class Handler:
            async def handle_RCPT(self, _server, _session, envelope, address, _options):
                if address in server.refused:
                    return "550 5.1.1 no such user here"
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, smtp, _session, envelope):
                answer = server.answers.pop(0) if server.answers else "250 taken"
                if answer.startswith("250") or answer == "drop":
                    server.mails.append(
                        {
                            "from": envelope.mail_from,
                            "to": list(envelope.rcpt_tos),
                            "raw": envelope.content,
                            "message": email.message_from_bytes(envelope.content, policy=default),
                        }
                    )
                if answer == "drop":
                    smtp.transport.abort()
                return answer

        def authenticated(_server, _session, _envelope, _mechanism, data):
            good = isinstance(data, LoginPassword) and (
                (data.login, data.password) == (USER.encode(), PASSWORD.encode())
            )
            return AuthResult(success=good, handled=False)

        class Listening(Controller):
            def _trigger_server(self):
                self.port = self.server.sockets[0].getsockname()[1]  # it listens by now
                super()._trigger_server()

            def factory(self):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # on loopback a login needs no TLS
                    return SMTP(
                        self.handler,
                        hostname="mail.test",
                        tls_context=None if is_implicit else tls,
                        require_starttls=tls is not None and not is_implicit,
                        auth_required=needs_login,
                        auth_require_tls=False,
                        authenticator=authenticated,
                    )

        self._controller = Listening(
            Handler(), hostname="127.0.0.1", port=0, ready_timeout=_READY_WITHIN_S,
            ssl_context=tls if is_implicit else None,
        )

    @property
    def port(self):
        """Given by the system, once it runs."""
        return self._controller.port

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_ignored):
        self._controller.stop()

    def settings(self, **more):
        """The section notify.email that reaches it."""
        return dict(settings_of(self.port), **more)


def settings_of(port):
    """The section notify.email for a server on that port of this machine."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "from": "selfheal <selfheal@ops.example>",
        "to": ["oncall@ops.example"],
    }
