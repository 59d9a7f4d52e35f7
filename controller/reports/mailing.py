"""Reports by mail: one message a report, and one for those that were late (§8.3)."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Any, Final

import aiosmtplib

from controller.reports.rendering import MEDIA
from controller.reports.sending import Outcome, Parcel, Tried
from controller.reports.words import say, sentence, title_of
from controller.settings import MailSettings
from inventory.errors import BadInput
from inventory.periods import moment_at
from inventory.reporthead import digest
from inventory.reporting import Language
from inventory.secrets import Secret

ATTACHED_AT_MOST: Final = 15_000_000
"""Octets of attachments in one message; files beyond are left out, and the text says so."""


def message_of(parcels: Sequence[Parcel], languages: Sequence[Language], sender: str, now_ms: int) -> EmailMessage:
    """The message for one recipient. Its id is that of the delivery, the same at each try."""
    reports = [json.loads(parcel.encoded) for parcel in parcels]
    first, language = parcels[0], languages[0]
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = sender
    message["To"] = first.delivery.recipient.target
    message["Subject"] = (
        _subject(reports[0], language) if len(reports) == 1 else say(language, "mail subject many", count=len(reports))
    )
    message["Date"] = format_datetime(moment_at(now_ms))
    domain = sender.rpartition("@")[2].rstrip("> ")
    message["Message-ID"] = f"<report-{first.delivery.id}-{first.delivery.sha256[:16]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    attached, left_out, size = [], [], 0
    for parcel in parcels:
        for name, wanted, content in parcel.files:
            size += len(content)
            if size <= ATTACHED_AT_MOST:
                attached.append((name, wanted, content))
            else:
                left_out.append(name)
    texts = [
        _text(report, one, parcel.encoded) for report, one, parcel in zip(reports, languages, parcels, strict=True)
    ]
    if attached:
        texts.append(say(language, "mail attached"))
    if left_out:
        texts.append(f"{say(language, 'mail too large')} {', '.join(left_out)}")
    message.set_content("\n\n".join(texts) + "\n", cte="base64")
    for name, wanted, content in attached:
        main, _, sub = MEDIA[wanted].partition(";")[0].partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message


def _subject(report: dict[str, Any], language: Language) -> str:
    period = report["period"]
    state = say(language, report["state"])
    if report["correction"]:
        state = say(language, "correction", **{k: report["correction"][k] for k in ("number", "replaces")})
    days = period["first_day"] if period["kind"] == "day" else f"{period['first_day']} – {period['last_day']}"
    return say(language, "mail subject", title=title_of(report, language), period=days, state=state)


def _text(report: dict[str, Any], language: Language, encoded: bytes) -> str:
    changes = [f"- {sentence(change, language)}" for change in report["changes"]]
    lines = [
        _subject(report, language),
        "",
        f"{say(language, 'what changed')}:",
        *(changes or [say(language, "nothing changed")]),
        "",
        f"{say(language, 'report id')} {report['report']}",
        f"{say(language, 'digest')} {digest(encoded)}",
    ]
    return "\n".join(lines)


async def send(message: EmailMessage, settings: MailSettings) -> Tried:
    """Hand a message to the mail server. Never raises for what the server does."""
    deadline = asyncio.get_running_loop().time() + settings.timeout_s
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.security == "tls",
        start_tls=settings.security == "starttls",
        tls_context=_trusted(settings),
        timeout=settings.timeout_s,
    )
    try:
        return await _handed_over(client, message, settings, deadline)
    finally:
        client.close()


async def _handed_over(
    client: aiosmtplib.SMTP, message: EmailMessage, settings: MailSettings, deadline: float
) -> Tried:
    late = f"the mail server took longer than {settings.timeout_s:g} s"
    try:
        async with asyncio.timeout_at(deadline):
            await client.connect()
            if settings.username:
                await _log_in(client, settings)
            await client.mail(aiosmtplib.email.parse_address(str(message["From"])))
            await client.rcpt(str(message["To"]))
    except TimeoutError:
        return Tried(Outcome.FAILED, late)
    except aiosmtplib.SMTPResponseException as error:
        _take_leave(client)
        return _answered(error)
    except (aiosmtplib.SMTPException, OSError, UnicodeError) as error:  # a host that no name server could know, too
        return Tried(Outcome.FAILED, _words(error))
    try:
        async with asyncio.timeout_at(deadline):
            answer = await client.data(message.as_bytes())
    except TimeoutError:  # the last words may have been sent
        return Tried(Outcome.UNKNOWN, late)
    except aiosmtplib.SMTPResponseException as error:
        _take_leave(client)
        return _answered(error)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Tried(Outcome.UNKNOWN, _words(error))
    _take_leave(client)
    return Tried(Outcome.SENT, f"{answer.code} {answer.message}"[:500])


def _take_leave(client: aiosmtplib.SMTP) -> None:
    """Say QUIT before the connection is closed (RFC 5321 §4.1.1.10). The outcome is known and waits for no answer."""
    if client.protocol is not None:
        with suppress(aiosmtplib.SMTPServerDisconnected):
            client.protocol.write(b"QUIT\r\n")


async def _log_in(client: aiosmtplib.SMTP, settings: MailSettings) -> None:
    """Raises SMTPAuthenticationError, whose words do not repeat the password even if the server's do."""
    password = _password(settings).reveal()
    try:
        await client.login(settings.username, password)
    except aiosmtplib.SMTPAuthenticationError as error:
        said = error.message
        for form in (password, f"\0{settings.username}\0{password}"):
            for shown in (form, b64encode(form.encode()).decode()):
                said = said.replace(shown, "…") if shown else said
        raise aiosmtplib.SMTPAuthenticationError(error.code, said) from None


def _answered(error: aiosmtplib.SMTPResponseException) -> Tried:
    """5xx is an answer for good, 4xx one for now. A wrong password is not: it may be corrected."""
    said = f"{error.code} {error.message}"[:500]
    for_good = 500 <= error.code < 600 and not isinstance(error, aiosmtplib.SMTPAuthenticationError)
    return Tried(Outcome.REFUSED if for_good else Outcome.FAILED, said)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _trusted(settings: MailSettings) -> ssl.SSLContext | None:
    if settings.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError):
        raise BadInput(f"{settings.ca_file} holds no certificate", field="mail.ca_file") from None


def _password(settings: MailSettings) -> Secret:
    try:
        return Secret("" if settings.password_file is None else settings.password_file.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"the password of the mail server cannot be read: {type(error).__name__}",
            field="mail.password_file",
            next_step="Check the file and its mode.",
        ) from None
