"""One mail as it goes over the wire (RFC 5322), built so that nothing in it can become a header."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr

SUBJECT = 200
"""Characters of a subject at most."""

_JOINERS = "\u200c\u200d"
"""Letters of Persian, and many pictures, are made of several with these between."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one address. The same letter has the same bytes but for the MIME boundary."""

    id: str
    to: str
    subject: str
    text: str
    html: str
    made_at: datetime

    @property
    def recipient(self) -> str:
        """The address as SMTP knows it: a domain in ASCII; RFC 5890."""
        user, _, domain = self.to.rpartition("@")
        if domain.isascii():
            return self.to
        try:
            return f"{user}@{domain.encode('idna').decode()}"
        except UnicodeError:
            return self.to

    def content(self, sender: str) -> bytes:
        """The message, from ``sender`` with its display name."""
        name, address = parseaddr(sender)
        user, _, domain = self.recipient.rpartition("@")
        message = EmailMessage(policy=SMTP if self.recipient.isascii() else SMTPUTF8)
        message["From"] = Address(name, addr_spec=address)
        # What looks encoded would be decoded by the parser of headers, and line ends in it written
        # out as such by Pythons before 3.11.10 and 3.12.5 (CVE-2024-6923). An address may look so;
        # a message need not say whom it is to.
        if "=?" not in user:
            message["To"] = Address(username=user, domain=domain)
        message["Subject"] = one_line(self.subject).replace("=?", "= ?")[:SUBJECT]
        message["Date"] = format_datetime(self.made_at)
        message["Message-ID"] = f"<{self.id}@{address.rpartition('@')[2]}>"
        # RFC 3834: whoever answers mails by themselves does not answer this one.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(self.text, cte="quoted-printable")
        message.add_alternative(self.html, subtype="html", cte="quoted-printable")
        return message.as_bytes()


def one_line(text: str) -> str:
    """Text without line ends, other controls, and marks that turn the direction of writing."""
    shown = (c if c.isprintable() or c in _JOINERS else " " for c in text)
    return " ".join("".join(shown).split())
