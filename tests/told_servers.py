"""A webhook and a mail server on this machine, which keep what they are told."""

from __future__ import annotations

import json
import socketserver
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Heard:
    """What a server was told, and with what it answers: the last answer stands for all that follow."""

    port: int = 0
    answers: list[int] = field(default_factory=lambda: [200])
    tries: int = 0
    bodies: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # commands of SMTP

    def answer(self) -> int:
        self.tries += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def webhook(*answers: int) -> Iterator[Heard]:
    heard = Heard(answers=list(answers) or [200])

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = heard.answer()
            if status == 200:
                heard.bodies.append(body)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with _served(ThreadingHTTPServer(("127.0.0.1", 0), Hook), heard):
        yield heard


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None, *answers: int) -> Iterator[Heard]:
    """One that knows as much of RFC 5321 as it takes, and no STARTTLS."""
    heard = Heard(answers=list(answers) or [250])

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

        def handle_error(self, *_: Any) -> None:
            """Who does not trust the certificate hangs up."""

    with _served(Server(("127.0.0.1", 0), _session(heard, tls)), heard):
        yield heard


def _session(heard: Heard, tls: ssl.SSLContext | None) -> type[socketserver.StreamRequestHandler]:
    class Session(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            if tls:
                self.request = tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
            super().setup()

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()
            self.request.close()

        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line.decode().strip().upper()
                heard.said.append(word)
                if word.startswith("DATA"):
                    self._data()
                elif word.startswith("EHLO"):
                    self.wfile.write(b"250-here\r\n250 AUTH PLAIN\r\n")
                else:
                    self.wfile.write({"AUTH": b"235 in\r\n", "QUIT": b"221 bye\r\n"}.get(word[:4], b"250 yes\r\n"))

        def _data(self) -> None:
            self.wfile.write(b"354 go on\r\n")
            text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
            status = heard.answer()
            if status == 250:
                heard.bodies.append(text)
            self.wfile.write(f"{status} heard\r\n".encode())

    return Session


@contextmanager
def _served(server: socketserver.BaseServer, heard: Heard) -> Iterator[None]:
    heard.port = server.server_address[1]  # type: ignore[index]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server on this machine shows, and the file by which it is trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    shown, secret = folder / "shown.pem", folder / "secret.pem"
    shown.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, secret)
    return context, shown
