"""Messages on their way: mail and webhooks, encrypted unless it is said otherwise. What may pass is tried again."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from ..errors import ChannelFailed
from ..model import Channel
from .message import Message, posted

TRIES, PATIENCE = 3, 10  # seconds, of one try
WAIT = wait_exponential(multiplier=0.5, max=4)
NEAR = {"localhost", "127.0.0.1", "::1"}
PORTS = {"smtps": 465, "smtp": 587, "smtp+plain": 25}


class Passing(Exception):
    """What may be gone when it is tried again."""


def send(channel: Channel, address: str, message: Message) -> None:
    """Tell a channel. Raises `ChannelFailed`, which repeats neither address nor answer: both can be secret."""
    way = _mail if channel.mail else _post
    try:
        for attempt in Retrying(
            stop=stop_after_attempt(TRIES), wait=WAIT, retry=retry_if_exception_type(Passing), reraise=True
        ):
            with attempt:
                _classified(lambda: way(channel, urlsplit(address), address, message))
    except (Passing, smtplib.SMTPException, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        reason = str(error) if isinstance(error, Passing) else type(error).__name__
        raise _failed(channel, reason) from None


def _failed(channel: Channel, reason: str) -> ChannelFailed:
    fix = "Check its address, user and certificate in the secret provider; the next run tells what is still so."
    return ChannelFailed(f"channel '{channel.name}' could not be told: {reason}.", fix)


def _classified(way: Callable[[], None]) -> None:
    """What may pass comes out as `Passing`: a certificate or a log-in that is refused does not."""
    try:
        way()
    except ssl.SSLError:
        raise
    except smtplib.SMTPResponseException as error:
        if 400 <= error.smtp_code < 500:
            raise Passing(f"the mail server answered {error.smtp_code}") from None
        raise
    except (smtplib.SMTPServerDisconnected, smtplib.SMTPConnectError) as error:
        raise Passing(type(error).__name__) from None
    except smtplib.SMTPException:
        raise
    except (OSError, httpx.TransportError) as error:
        raise Passing(type(error).__name__) from None


def _mail(channel: Channel, server: SplitResult, _address: str, message: Message) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, channel.sender, ", ".join(channel.mail)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    with _server(server) as smtp:
        if server.username:
            smtp.login(unquote(server.username), unquote(server.password or ""))
        smtp.send_message(mail)


def _server(server: SplitResult) -> smtplib.SMTP:
    """A connection to a mail server; `smtp` is one that has to turn to TLS before anything is said."""
    if server.scheme not in PORTS:
        raise ValueError
    host, port = server.hostname or "", server.port or PORTS[server.scheme]
    secure = ssl.create_default_context()
    if server.scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=PATIENCE, context=secure)
    smtp = smtplib.SMTP(host, port, timeout=PATIENCE)
    try:
        if server.scheme == "smtp":
            smtp.starttls(context=secure)
    except Exception:
        smtp.close()
        raise
    return smtp


def _post(channel: Channel, server: SplitResult, address: str, message: Message) -> None:
    if server.scheme != "https" and server.hostname not in NEAR:
        raise ssl.SSLError
    answer = httpx.post(address, json=posted(message, channel.form), timeout=PATIENCE, follow_redirects=False)
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Passing(f"it answered {answer.status_code}")
    if not answer.is_success:
        raise httpx.HTTPError("refused")
