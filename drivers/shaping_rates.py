"""What an interface is held to, and what of its shapers could not be made a rate of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shaped:
    """What an interface is held to, in bit/s, as its device counts; None: not held, or not known."""

    in_bps: int | None = None
    out_bps: int | None = None
    unclear: tuple[str, ...] = ()
    """What holds a part of the traffic, or is not understood, in words: no rate was made of it."""

    def also(self, other: Shaped) -> Shaped:
        """Held by both: the tighter rate of each direction, and all that is unclear, each once."""
        return Shaped(
            least(self.in_bps, other.in_bps),
            least(self.out_bps, other.out_bps),
            tuple(dict.fromkeys((*self.unclear, *other.unclear))),
        )


def least(*rates: int | None) -> int | None:
    """The tightest of the rates that are known and above nought."""
    return min((one for one in rates if one), default=None)
