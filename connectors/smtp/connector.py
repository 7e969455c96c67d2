"""E-mail, handed over to a mail server by SMTP."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from connectors.guides.smtp import GUIDE
from connectors.smtp.address import Mailbox, header_text, mailbox
from connectors.smtp.config import SmtpConfig
from connectors.smtp.message import Draft, Part, attachment, checked_headers, compose
from connectors.smtp.session import Envelope, Server, Session
from relay.connector import Action, Call, Check, Connector, Context, Example, Fields, Outgoing, secrets_in
from relay.errors import HoldError, PermanentError
from relay.http import Redactor
from relay.model import Reply


class Person(Fields):
    name: str = Field("", description="The name that is shown.")
    address: str = Field(description="The address alone.")


class Attachment(Fields):
    filename: str = Field(description="The file's name.", examples=["transcript.csv"])
    content_type: str = Field(
        "application/octet-stream", description="What kind of file it is.", examples=["text/csv"]
    )  # fmt: skip
    base64: str | None = Field(None, description="The file's bytes in base64.")
    text: str | None = Field(None, description="The file's text; it is sent as UTF-8.")

    @model_validator(mode="after")
    def _one_content(self) -> Attachment:
        if (self.base64 is None) == (self.text is None):
            raise ValueError("an attachment has base64 or text, and not both")
        return self


People = str | Person | list[str | Person] | None


class MailFields(Fields):
    model_config = ConfigDict(populate_by_name=False)

    from_: str | Person | None = Field(None, alias="from", description="The sender; by default the connection's.")
    to: People = Field(None, description="Recipients: one, or a list; `ana@example.com` or `Ana <ana@example.com>`.")
    cc: People = Field(None, description="Recipients of a copy.")
    bcc: People = Field(None, description="Recipients of a copy whom the others don't see.")
    reply_to: People = Field(None, description="Where answers go.")
    subject: str = Field(description="The subject: one line.")
    text: str | None = Field(None, description="The mail as text; where only html is given it is made of that.")
    html: str | None = Field(
        None, description="The mail as HTML. Values of events are escaped by the recipe, not here."
    )
    attachments: list[Attachment] | None = Field(None, description="Files: filename, content_type, base64 or text.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers, such as In-Reply-To and List-Unsubscribe."
    )

    @model_validator(mode="after")
    def _says_something(self) -> MailFields:
        if self.text is None and self.html is None:
            raise ValueError("say text or html")
        return self


@dataclass(frozen=True, slots=True)
class Mail(Outgoing):
    """A mail as it will be sent; `preview` shows attachments by size and digest."""

    draft: Draft = field(repr=False)
    bcc: tuple[Mailbox, ...] = field(repr=False)
    envelope: Envelope = field(repr=False)

    def preview(self) -> dict[str, Any]:
        draft = self.draft
        shown: dict[str, Any] = {
            "from": str(draft.sender),
            **{
                name: [str(who) for who in people]
                for name, people in (
                    ("to", draft.to), ("cc", draft.cc), ("bcc", self.bcc), ("reply_to", draft.reply_to)
                )
                if people
            },
            "subject": draft.subject,
            "message_id": draft.message_id,
            "bounces_to": self.envelope.sender,
            "bytes": len(self.envelope.content),
        }  # fmt: skip
        optional: dict[str, Any] = {
            "date": draft.date,
            "headers": dict(draft.headers),
            "text": draft.text,
            "html": draft.html,
        }
        shown |= {name: value for name, value in optional.items() if value}
        if draft.parts:
            shown["attachments"] = [part.shown() for part in draft.parts]
        return shown


class SendMail(Action[SmtpConfig, MailFields, Mail]):
    name = "send"
    summary = (
        "Send one mail. Each attempt sends the same bytes under the same Message-ID, by which many mail servers show a "
        "mail once; SMTP itself can't promise it, so an attempt that broke off at its end has an unknown outcome."
    )
    With = MailFields
    examples = (
        Example("Text", {"to": "ana@example.com", "subject": "A chat was closed", "text": "By Sam, after 4 minutes."}),
        Example(
            "HTML with a file",
            {
                "from": "Open days <open-days@example.ac.uk>",
                "to": ["ana@example.com", {"name": "Lee, Sam", "address": "sam@example.com"}],
                "cc": "desk@example.ac.uk",
                "reply_to": "desk@example.ac.uk",
                "subject": "Your transcript – Zoë",
                "html": "<p>Your transcript is attached.</p>",
                "attachments": [{"filename": "chat.csv", "content_type": "text/csv", "text": "at,who\n10:00,Ana\n"}],
            },
        ),
        Example(
            "An answer",
            {
                "to": "ana@example.com",
                "subject": "Re: help",
                "text": "We are on it.",
                "headers": {"In-Reply-To": "<1234@example.com>"},
            },
        ),
    )

    def prepare(self, fields: MailFields, call: Call) -> Mail:
        config = self.config
        if not (fields.from_ or config.from_):
            raise PermanentError("name a sender: `from` in the step or the connection", cause="no sender")
        sender = _one(fields.from_ or config.from_ or "", "from")
        to, cc, bcc = (_people(getattr(fields, name), name) for name in ("to", "cc", "bcc"))
        recipients = list(dict.fromkeys(who.address for who in (*to, *cc, *bcc)))
        self._check_recipients((*to, *cc, *bcc), len(recipients))
        draft = Draft(
            sender=sender,
            to=to,
            cc=cc,
            reply_to=_people(fields.reply_to, "reply_to"),
            subject=header_text(fields.subject, "subject"),
            headers=checked_headers(fields.headers),
            text=fields.text,
            html=fields.html,
            parts=self._parts(fields.attachments or []),
            key=call.idempotency_key,
            moment=call.moment,
        )
        bounces = mailbox(config.bounces_to, "bounces_to") if config.bounces_to else sender
        content = compose(draft)
        if len(content) > config.max_message:
            message = f"the mail has {len(content)} bytes and the connection's max_message is {config.max_message}"
            raise PermanentError(message, cause="mail too large")
        utf8 = draft.needs_utf8 or bounces.needs_utf8 or any(who.needs_utf8 for who in bcc)
        return Mail(draft, bcc, Envelope(bounces.address, recipients, utf8, content))

    def _check_recipients(self, people: Sequence[Mailbox], count: int) -> None:
        config = self.config
        if not people:
            raise PermanentError("name a recipient: to, cc or bcc", cause="no recipient")
        if count > config.max_recipients:
            message = f"{count} recipients, and the connection's max_recipients is {config.max_recipients}"
            raise PermanentError(message, cause="too many recipients")
        allowed = {domain.lower().lstrip("@") for domain in config.recipient_domains}
        if allowed and any(who.domain not in allowed for who in people):
            message = "a recipient's domain is not among the connection's recipient_domains"
            raise PermanentError(message, cause="recipient not allowed")

    def _parts(self, attachments: Sequence[Attachment]) -> tuple[Part, ...]:
        size = sum(len(given.base64 or given.text or "") for given in attachments)
        if size > self.config.max_message:
            message = f"the attachments alone are larger than the connection's max_message, {self.config.max_message}"
            raise PermanentError(message, cause="mail too large")
        return tuple(
            attachment(f"attachments.{number}", given.filename, given.content_type, given.base64, given.text)
            for number, given in enumerate(attachments)
        )

    async def send(self, outgoing: Mail, call: Call) -> Reply:
        assert isinstance(self.connection, Smtp)
        taken = await Session(self.connection.server()).send(outgoing.envelope, call.timeout)
        count = len(outgoing.envelope.recipients) - len(taken.refused)
        summary = f"{taken.text}; {count} recipient{'s' if count != 1 else ''}"
        if taken.refused:
            summary += f"; refused: {', '.join(taken.refused)}"
        body = {"message_id": outgoing.draft.message_id, "accepted": count, "refused": dict(taken.refused)}
        received = {"code": taken.code, "text": taken.text, "refused": dict(taken.refused)}
        return Reply(body=body, summary=summary, status=taken.code, received=received)


class Smtp(Connector[SmtpConfig]):
    name = "smtp"
    summary = "E-mail by SMTP"
    guide = GUIDE
    Config = SmtpConfig
    actions = (SendMail,)
    example: ClassVar = {
        "connector": "smtp",
        "host": "smtp.example.com",
        "username": "relay@example.com",
        "password": "s3cret-of-the-mailbox",
        "from": "Relay <relay@example.com>",
    }

    def __init__(self, config: SmtpConfig, context: Context) -> None:
        super().__init__(config, context)
        self._server: Server | None = None

    async def check(self, timeout: timedelta) -> Check:
        config = self.config
        await Session(self.server()).look(timeout)
        who = f"takes {config.username} and the password" if config.username else "asks for no login"
        how = "unencrypted, as security: none says" if config.security == "none" else "encrypted"
        return Check(f"{config.host}:{config.port_in_use} can be reached, {how}, and {who}")

    def server(self) -> Server:
        """Made when first needed: reading the certificates takes a while, and a wrong file holds the lane."""
        if self._server is None:
            config = self.config
            try:
                context = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
            except OSError as error:
                message = f"the connection's ca_file {config.ca_file} can't be used: {error.strerror or error}"
                raise HoldError(message, cause="ca_file can't be used") from None
            self._server = Server(
                host=config.host,
                port=config.port_in_use,
                security=config.security,
                username=config.username,
                password=config.password.get_secret_value() if config.password else "",
                local_name=config.local_name,
                allow_private=config.allow_private,
                connect_timeout=config.connect_timeout,
                skip_refused=config.refused_recipients == "skip",
                redact=Redactor(secrets_in(config)),
                context=context,
            )
        return self._server


def _one(given: str | Person, where: str) -> Mailbox:
    if isinstance(given, Person):
        return mailbox(given.address, f"{where}.address", header_text(given.name, f"{where}.name"))
    return mailbox(given, where)


def _people(given: People, where: str) -> tuple[Mailbox, ...]:
    """Nothing and an empty text are nobody: what a recipe renders of a field that isn't there."""
    if not given:
        return ()
    if isinstance(given, list):
        return tuple(_one(who, f"{where}.{number}") for number, who in enumerate(given))
    return (_one(given, where),)
