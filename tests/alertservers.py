"""A webhook's HTTP end point and a mail server on loopback: they keep what arrives, and answer as they are told."""

import email
import email.policy
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass
class Endpoint:
    """What a webhook got (path and text of each request), and what it answers: status, headers, and after how long."""

    port: int
    received: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.received]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/secret"


@contextmanager
def endpoint(port: int = 0) -> Iterator[Endpoint]:
    """A webhook's end point that runs while the block does; on any free port when none is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if found.hold:
                found.hold.wait(60)
                return
            found.received.append((self.path, body["text"]))
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok" if found.status == 200 else b"no_text")

        def log_message(self, *_arguments: Any) -> None:
            """Nothing to standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    found = Endpoint(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        if found.hold:
            found.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """What a mail server got, and what it answers to each message."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            content = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
            content["X-Recipients"] = ", ".join(envelope.rcpt_tos)
            self.messages.append(content)  # type: ignore[arg-type]
        return self.answer


def write_certificate(path: Path) -> Path:
    """A key and a certificate of 127.0.0.1 that it signs itself, valid today, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(days=1)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return path


@contextmanager
def mail_server(port: int, certificate: Path | None = None, login: tuple[str, str] | None = None) -> Iterator[Mailbox]:
    """A mail server that runs while the block does; with a certificate it takes nothing before STARTTLS, with a log-in not without that."""
    box = Mailbox(port)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if certificate else None
    if tls and certificate:
        tls.load_cert_chain(certificate)

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword) -> AuthResult:
        return AuthResult(success=(given.login.decode(), given.password.decode()) == login, handled=False)

    doors = {"auth_required": True, "authenticator": authenticate} if login else {}
    controller = Controller(box, hostname="127.0.0.1", port=port, tls_context=tls, require_starttls=tls is not None, **doors)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
