"""Why a place got a proposal or not, in words: every reason a daily look can come to (metering §7.1, §7.3, §7.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "level": "the link is congested",
    "forecast": "the link will be full within 90 days",
    "open-proposal": "a proposal for this place is open already",
    "capacity-not-known": "the ceiling was only learned from traffic: enter the line rate",
    "not-enough-data": "fewer than 28 valid days were measured",
    "not-congested": "the link is not congested, and not expected to be within 90 days",
    "declined": "a proposal was declined less than 90 days ago, and the level is not higher since",
    "lan-side": "only a LAN side is busy, which no line and no model would widen",
    "fault": "it looks like a fault, not like load: broken frames, a link that goes up and down, or half duplex",
    "swap": "the unit that sits there has failed and waits for another",
    "grade-c": "too much time was not measured to say how full the link is (grade C)",
    "capacity-changed": "the capacity is another since less than 28 days",
    "suspended": "the management of the entry is suspended",
    "ending": "the service of the entry ends within 60 days",
    "no-adapter": "nobody sits in the entry",
    "ordered": "an accepted proposal was not carried out yet",
    "fits": "line and model suffice for what is needed over the next 12 months",
    "none": "nothing would help",
    "device-figure-unknown": "no figure of the model is published or entered, so no model is named",
    "no-model-suffices": "no model of the service and class suffices",
    "model-changed": "another model sits there than the open proposal was about",
    "newer-evidence": "newer measurements ask for something else",
    "under-review": "the provider is looking at it",
}


def words(reason: str) -> str:
    """A reason in words. What a later version recorded is shown as it is."""
    return WORDS.get(reason, reason)


WORDS_JA: Final[Mapping[str, str]] = {
    "fits": "今後12か月に必要な容量に対して回線と機種は十分",
    "device-figure-unknown": "この機種の公表値も登録値もないため、機種は提案しません",
    "no-model-suffices": "同じサービスと種別に、足りる機種がありません",
}
"""Those of the remedies that a text names."""


def words_ja(reason: str) -> str:
    """A reason of a remedy in Japanese; another one as it is."""
    return WORDS_JA.get(reason, reason)
