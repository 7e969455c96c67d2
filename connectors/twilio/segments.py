"""How many messages are charged for one text."""

from __future__ import annotations

from collections.abc import Iterable

#: The default alphabet of GSM 03.38; those of the second cost two.
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_TWO = frozenset("\f^{}\\[~]|€")


def segments(text: str) -> int:
    """How many messages are charged: one sign outside GSM's alphabet makes all of them UCS-2, 70 signs and not 160.

    A sign of two units isn't parted, so a segment may have one unit less.
    """
    gsm = all(sign in GSM or sign in GSM_TWO for sign in text)
    costs = [1 + (sign in GSM_TWO if gsm else ord(sign) > 0xFFFF) for sign in text]
    alone, one_of_many = (160, 153) if gsm else (70, 67)
    return 1 if sum(costs) <= alone else _packed(costs, one_of_many)


def _packed(costs: Iterable[int], room: int) -> int:
    count, used = 1, 0
    for cost in costs:
        if used + cost > room:
            count, used = count + 1, 0
        used += cost
    return count
