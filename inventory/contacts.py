"""What phone-home knows of an adapter: who it is, how it stands, what it asked and got (architecture §6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from inventory.adapters import FINAL, Life, SerialNumber
from inventory.admission import Caller, Place
from inventory.catalogue import Model
from inventory.explain import Contact
from inventory.keys import Keys
from inventory.secrets import Secret


@dataclass(frozen=True, slots=True)
class ArmsIdentity:
    """How one adapter proves itself, and where it stands: all that an answer of phone-home rests on."""

    adapter_id: int
    distribution_id: str
    serial: SerialNumber
    model: Model
    contractor_id: int
    ls_keys: Keys[bytes] = field(repr=False)
    """Digests."""
    rs_keys: Keys[Secret]
    passphrases: Keys[Secret]
    """Keys of its heartbeats."""
    certificate: str | None
    certificate_key: Secret | None
    life: Life
    place: Place
    entry_id: int | None
    management_id: int | None
    missing: tuple[str, ...]
    suspended: str | None
    unentitled: str | None
    """Why its contract line, or that of its management, gives no service, with the rule."""
    finishing: bool
    """A push or an operation that was begun holds it."""
    shut_out: str | None
    quarantine: str | None
    ticked: int = 0
    """Items of the checklist that are there, of an adapter in an entry."""
    certificate_serial: str | None = None
    """Serial number, in hex, of the certificate that a config pull brings; None: not known."""
    certificate_issued: bool = False
    """A config pull has given it its certificate (§12)."""
    certificate_serials: tuple[str, ...] = ()
    """Serial numbers, in hex, of the certificates that are accepted from it; none: they are not known."""
    legacy_tls: bool | None = None
    """Whether it may speak TLS below 1.2 where the listeners do; None: as the settings say."""
    tls: str | None = None
    """TLS version of its last request, such as `TLSv1`."""
    tls_best: str | None = None
    """The newest TLS version that it has spoken, such as `TLSv1.3`."""

    def without_certificate(self) -> ArmsIdentity:
        """The same without what is only needed for a pull: some KB that every open tunnel would keep."""
        return replace(self, certificate=None, certificate_key=None)

    @property
    def rs_key(self) -> Secret:
        """The newest RS key: what the LS hands out. Towards the adapter `rs_keys.known` is used."""
        return self.rs_keys.current

    @property
    def passphrase(self) -> Secret:
        """The newest passphrase: what the RS hands out."""
        return self.passphrases.current

    ls_ms: int | None = None
    """When it asked the LS since its last pull; None when it did not."""

    def caller(
        self,
        *,
        key_ok: bool,
        same_id: bool = True,
        startup: bool = False,
        overload: bool = False,
        doubt: str | None = None,
        looping: str | None = None,
    ) -> Caller:
        """The facts of a request for `admission.admit`."""
        return Caller(
            known=self.life not in FINAL,
            key_ok=key_ok and doubt is None,
            doubt=doubt,
            same_id=same_id,
            place=self.place,
            delivered=self.life is not Life.ORDERED,
            missing=self.missing,
            suspended=self.suspended,
            unentitled=self.unentitled,
            finishing=self.finishing,
            shut_out=self.shut_out,
            quarantine=self.quarantine,
            startup=startup,
            overload=overload,
            looping=looping,
        )


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """The last contact with one adapter. Times are milliseconds UTC; None means never."""

    adapter_id: int
    stage: Contact
    stage_ms: int | None
    last_seen_ms: int | None
    last_heartbeat_ms: int | None
    tunnel_open: bool
    source: str | None
    """Address it was last seen from."""
    proven_serial: str | None
    """What the device itself said, over the confirmed path."""
    proven_ms: int | None
    refusal_code: int | None
    refusal_reason: str | None
    refusal_ms: int | None
    refusal_count: int
    quarantine: str | None
    quarantine_ms: int | None
    trigger: str | None
    firmware: str | None
    push_endpoint: str | None
    """Where it is dialled in https-simple, once confirmed; None while it has only tunnels."""
    push_result_url: str | None
    certificate_delivered_ms: int | None
    """When a config pull last gave it its certificate."""
    tls: str | None
    """TLS version of its last request, such as `TLSv1`."""
    tls_best: str | None
    """The newest version that it has ever spoken."""
    ls_ms: int | None = None
    """When it asked the LS since the last config was pulled."""
    asked_ms: int | None = None
    """When it asked the RS since the last config was pulled."""
    node: str | None = None
    """The node to which it last had a way to be pushed to; None: not known."""
    certificate_delivered_serial: str | None = None
    """Serial number, in hex, of the certificate that a config pull last gave it; None: not known."""

    @property
    def refusal(self) -> str | None:
        """The last refusal in words: our code, where we answered one, and the reason."""
        if self.refusal_reason is None or self.refusal_code is None:
            return self.refusal_reason
        return f"{self.refusal_code}: {self.refusal_reason}"


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody asked who is not admitted as who he says: an unknown id, a wrong key, a broken message."""

    id: int
    claimed: str
    """The distribution id in the message or credential; empty when there was none to read."""
    source: str
    reason: str
    first_ms: int
    last_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class RefusedBeats:
    """Heartbeats that came in an adapter's name and were refused: by it, by somebody else, or spoilt on the way."""

    adapter_id: int
    reason: str
    """`wrong-key`, `replay`, `truncated`, `oversize`, `malformed` or `too-soon`."""
    count: int
    first_ms: int
    last_ms: int
    source: str
    """Address of the last one; of UDP it proves nothing."""
