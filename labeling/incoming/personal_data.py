"""Personal data and secrets in texts, pointed out: e-mail addresses, phone numbers, cards, accounts, keys.

Numbers that carry a check are checked (cards: Luhn, ISO/IEC 7812; accounts: ISO 13616, mod 97), so that a
long number alone is none. It points out and decides nothing. Names and places are not looked for.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

MOST_READ = 100_000  # characters of one text
MOST_FOUND = 100  # in one text


class Kind(models.TextChoices):
    EMAIL = "email", _("e-mail address")
    PHONE = "phone", _("phone number")
    CARD = "card", _("card number")
    IBAN = "iban", _("bank account (IBAN)")
    IP = "ip", _("IP address")
    SECRET = "secret", _("key or password")


@dataclass(frozen=True)
class Finding:
    kind: Kind
    start: int
    """The place of its first character in the text, from 1."""
    masked: str
    """What was found, all but its ends hidden."""


# ISO 13616: characters of an account's number by country.
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (
        ("15", "NO"),
        ("16", "BE"),
        ("18", "DK FO FI GL NL"),
        ("19", "MK SI"),
        ("20", "AT BA EE KZ LT LU XK"),
        ("21", "CH HR LI LV"),
        ("22", "BG BH CR DE GB GE IE ME RS VA"),
        ("23", "AE GI IL IQ OM TL"),
        ("24", "AD CZ ES MD PK RO SA SE SK TN VG"),
        ("25", "PT"),
        ("26", "IS TR"),
        ("27", "FR GR IT MC MR SM"),
        ("28", "AL AZ BY CY DO GT HU LB PL SV"),
        ("29", "BR EG PS QA UA"),
        ("30", "JO KW MU"),
        ("31", "MT SC"),
    )
    for country in countries.split()
}
_SECRETS = (
    r"AKIA[0-9A-Z]{16}\b",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bgh[pousr]_[A-Za-z0-9]{30,}",
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\btut_[A-Za-z0-9_-]{30,}",
    r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----",
    r"(?i:\b(?:password|passwd|api[_-]?key|secret|token)\b)[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
    r"(?=[^\s\"']{0,200}\d)[^\s\"']{8,200}",
)


_HINTS = r"AKIA|sk-|gh[pousr]_|xox|AIza|hf_|tut_|eyJ|-----B|(?i:passw|api.?key|secret|token)"


def find(text: str) -> list[Finding]:
    """What a text holds, in order of its places; nothing is found twice."""
    text = text[:MOST_READ]
    taken: list[tuple[int, int]] = []
    found: list[Finding] = []
    for kind, hint, pattern, holds in _LOOKS:
        if not hint.search(text):
            continue
        for match in pattern.finditer(text):
            start, end = match.start(), match.end()
            if any(start < other_end and other_start < end for other_start, other_end in taken):
                continue
            if (said := holds(match.group())) is not None and len(found) < MOST_FOUND:
                taken.append((start, start + len(said)))
                found.append(Finding(kind, start + 1, mask(said)))
    return sorted(found, key=lambda one: one.start)


def mask(text: str) -> str:
    """A text of which only the ends can be read."""
    ends = 2 if len(text) > 6 else 1
    return f"{text[:ends]}…{text[-ends:]}"


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdecimal())


def _card(text: str) -> str | None:
    digits = _digits(text)
    if not 13 <= len(digits) <= 19 or digits[0] not in "3456" or len(set(digits)) == 1:
        return None
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return text if sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0 else None


def _iban(text: str) -> str | None:
    """The number at the beginning of a text that may run on beyond it."""
    length, at, plain = _IBAN_LENGTHS.get(text[:2], 0), 0, ""
    while at < len(text) and len(plain) < length:
        plain += text[at].strip()
        at += 1
    if not length or len(plain) < length or text[at : at + 1].isalnum():
        return None
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    return text[:at] if int(number) % 97 == 1 else None


def _ip(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # An address that is nobody's tells of nobody.
    return text if address.is_global else None


def _phone(text: str) -> str | None:
    return text if 8 <= len(_digits(text)) <= 15 else None


def _as_it_is(text: str) -> str | None:
    return text


_Look = tuple[Kind, re.Pattern[str], re.Pattern[str], Callable[[str], str | None]]
# In order: what stands within an earlier find is not looked at again. The first pattern of each is quick, and
# spares most texts the second.
_LOOKS: tuple[_Look, ...] = (
    (Kind.SECRET, re.compile(_HINTS), re.compile("|".join(_SECRETS)), _as_it_is),
    (
        Kind.EMAIL,
        re.compile("@"),
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"),
        _as_it_is,
    ),
    (Kind.IBAN, re.compile(r"[A-Z]{2}\d\d"), re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,40}"), _iban),
    (Kind.CARD, re.compile(r"\d[\d -]{11}"), re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-])"), _card),
    (
        Kind.IP,
        re.compile(r"\d\.\d|[0-9a-fA-F]:[0-9a-fA-F:]"),
        re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]{6,39})(?![\w:]|\.\d)"),
        _ip,
    ),
    (
        Kind.PHONE,
        re.compile(r"\d{2}|\d[ ()./-]"),
        re.compile(
            r"(?<![\w.+-])(?<!\d )(?:\+\d(?:[ ().\/-]{0,2}\d){7,14}|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}"
            r"|0\d{2,4}[ /-]\d(?:[ -]?\d){5,8})(?![\w-])"
        ),
        _phone,
    ),
)


def in_texts(texts: Iterator[tuple[str, str]]) -> Iterator[tuple[str, Finding]]:
    """Findings in texts that are named by their fields."""
    for field, text in texts:
        for finding in find(text):
            yield field, finding
