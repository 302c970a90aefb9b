"""A TLS server's side for tests: a certificate that nobody trusts unless told to."""

from __future__ import annotations

import ssl
import subprocess

from tests import needs


def self_signed(directory, name: str):
    """(server context, certificate file) for `name`, such as `DNS:localhost` or `IP:127.0.0.1`."""
    key, certificate = str(directory / "key.pem"), str(directory / "cert.pem")
    command = [needs.tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    command += ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=%s" % name]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
