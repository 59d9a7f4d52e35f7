"""The private certificates of phone-home (arms-protocol §3, §12).

Three CAs, used for nothing else: the root that adapters are built with (LS), one for the RS and its tunnels, one for
the adapters themselves. Made at the first start, or imported (`importing`). Leaves are renewed while the listeners
stay open: a context takes the new certificate for new connections, and those that are open keep theirs.
"""

from __future__ import annotations

import ssl
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from controller.phonehome import certificates
from controller.phonehome.certificates import ADAPTER_DAYS, CA_DAYS, LEAF_DAYS, ROOT_DAYS, Pair, Read
from controller.phonehome.folder import Folder
from inventory.certificates import AuthorityRole, CertificateRole

TlsFloor = Literal["1.0", "1.2"]
ClientCertificates = Literal["require", "ask", "off"]

ROOT: Final = "ARMS Root CA"
LOCATION: Final = "Location Server 1"
"""Clients want `CN=ARMS Root CA` or `CN=Location Server ` in every subject of the LS chain (§3)."""
RESOURCE_CA: Final = "Kajitori RS CA"
RESOURCE: Final = "Kajitori RS"
ADAPTER_CA: Final = "Kajitori SA CA"
FORMER: Final = "kajitori-sa-ca.former"
"""CAs of adapters' certificates that were replaced by an import: what they signed is still shown to us."""
_DONT_INSERT_EMPTY_FRAGMENTS: Final = 0x800
"""Without it OpenSSL makes two TLS 1.0 records of every write, and a tunnel head must be alone in one (D8)."""
_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: an adapter whose certificate has ended must get through to fetch the next."""
_AUTHORITIES: Final[dict[AuthorityRole, tuple[str, int]]] = {
    "root": (ROOT, ROOT_DAYS),
    "rs-ca": (RESOURCE_CA, CA_DAYS),
    "sa-ca": (ADAPTER_CA, CA_DAYS),
}
_LEAVES: Final[dict[str, str]] = {LOCATION: ROOT, RESOURCE: RESOURCE_CA}
"""Leaf and the authority that signs it."""
_ROLES: Final[dict[CertificateRole, str]] = {
    "root": ROOT,
    "ls": LOCATION,
    "rs-ca": RESOURCE_CA,
    "rs": RESOURCE,
    "sa-ca": ADAPTER_CA,
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One certificate of the installation, and what it says."""

    role: CertificateRole
    pem: str
    read: Read


class Pki:
    """The certificates of one installation. All nodes share the folder's content."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._pairs: dict[str, Pair] = {}
        self._contexts: list[tuple[ssl.SSLContext, str]] = []
        """Contexts that were handed out, and the leaf that each shows."""
        self._verifiers: list[ssl.SSLContext] = []
        """Those of them that look at adapters' certificates."""

    @classmethod
    def open(cls, path: Path, *, now_ms: int) -> Pki:
        """Read the folder, and make what is missing. Raises Conflict when a key can be read by others.

        It signs, so it takes a good half second the first time; call it before the loop is busy.
        """
        pki = cls(Folder.open(path))
        for name, days in _AUTHORITIES.values():
            pki._pairs[name] = pki._folder.have(name, partial(certificates.authority, name, days=days, now_ms=now_ms))
        for name in _LEAVES:
            pki._pairs[name] = pki._folder.have(name, partial(pki.make_leaf, name, now_ms=now_ms))
        return pki

    # --- what there is ------------------------------------------------------------------------------------------------

    @property
    def root_certificate(self) -> str:
        """What adapters must trust for the LS: written into them by the factory, given to simulators by the demo."""
        return certificates.split(self._pairs[ROOT].certificate)[-1]

    @property
    def resource_ca_certificate(self) -> str:
        """The CA that the LS hands out in the location-config; every RS and tunnel certificate is signed by it."""
        return self._pairs[RESOURCE_CA].certificate

    @property
    def adapter_ca_certificate(self) -> str:
        """The CA of the certificates that adapters show."""
        return self._pairs[ADAPTER_CA].certificate

    @property
    def adapter_authority(self) -> str:
        """Fingerprint of the CA that signs adapters' certificates now."""
        return certificates.read(self.adapter_ca_certificate).fingerprint

    def kept(self) -> list[Kept]:
        """Every certificate of the installation, an authority before what it signs; no keys."""
        found = []
        for role, name in _ROLES.items():
            for pem in certificates.split(self._pairs[name].certificate):
                found.append(Kept(role, pem, certificates.read(pem)))
        return found

    # --- renewing -----------------------------------------------------------------------------------------------------

    def due(self, now_ms: int) -> list[str]:
        """Names of leaves whose time to be made anew has come."""
        found = []
        for name, authority in _LEAVES.items():
            issuer = certificates.read(self._pairs[authority].certificate)
            if certificates.renewal_due(certificates.read(self._pairs[name].certificate), issuer.not_after_ms, now_ms):
                found.append(name)
        return found

    def make_leaf(self, name: str, *, now_ms: int, authority: Pair | None = None) -> Pair:
        """A new certificate for a leaf, not yet in use. Takes about 50 ms of CPU and touches nothing."""
        return certificates.leaf(authority or self._pairs[_LEAVES[name]], name, days=LEAF_DAYS, now_ms=now_ms)

    def issue(self, distribution_id: str, *, now_ms: int) -> Pair:
        """Certificate and unencrypted key of one adapter, CN = its distribution id (§12). Takes about 50 ms of CPU."""
        return certificates.leaf(self._pairs[ADAPTER_CA], distribution_id, days=ADAPTER_DAYS, now_ms=now_ms)

    def leaves_of(self, role: AuthorityRole) -> list[str]:
        """Names of the leaves that this authority signs."""
        return [name for name, authority in _LEAVES.items() if authority == _AUTHORITIES[role][0]]

    def authority(self, role: AuthorityRole) -> Pair:
        """An authority with its key."""
        return self._pairs[_AUTHORITIES[role][0]]

    def replace(self, leaves: dict[str, Pair], *, role: AuthorityRole | None = None, by: Pair | None = None) -> None:
        """Put leaves, and with `role` their new authority, in use: on disk all or none, then in every open context."""
        pairs = dict(leaves)
        texts: dict[str, str] = {}
        if role is not None and by is not None:
            pairs[_AUTHORITIES[role][0]] = by
            if role == "sa-ca":
                texts[FORMER] = self._former() + self.adapter_ca_certificate
        self._folder.replace(pairs, texts)
        self._pairs.update(pairs)
        for context, leaf in self._contexts:
            self._show(context, leaf)
        for context in self._verifiers:
            self._trust_adapters(context)

    # --- contexts -----------------------------------------------------------------------------------------------------

    def location_context(self, floor: TlsFloor) -> ssl.SSLContext:
        """Server side of the LS: shows the LS certificate and its root, asks for none."""
        return self._context(ssl.PROTOCOL_TLS_SERVER, LOCATION, floor)

    def resource_context(self, floor: TlsFloor, clients: ClientCertificates = "require") -> ssl.SSLContext:
        """Server side of RS and tunnels. It asks for an adapter's certificate unless `clients` is off, but lets the
        first pull come without; whether one must be there is decided request by request (`inventory.keys`)."""
        context = self._context(ssl.PROTOCOL_TLS_SERVER, RESOURCE, floor)
        if clients != "off":
            self._trust_adapters(context)
            self._verifiers.append(context)
            context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def dialling_context(self, floor: TlsFloor) -> ssl.SSLContext:
        """Client side of https-simple: shows the RS certificate, accepts what our SA CA has signed.

        The address is not compared: whoever dials compares `certificates.common_name(getpeercert())` with the
        distribution id before it sends the key (§3).
        """
        context = self._context(ssl.PROTOCOL_TLS_CLIENT, RESOURCE, floor)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        self._trust_adapters(context)
        self._verifiers.append(context)
        return context

    def _context(self, protocol: int, leaf: str, floor: TlsFloor) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.options |= _DONT_INSERT_EMPTY_FRAGMENTS | ssl.OP_NO_RENEGOTIATION
        if floor == "1.0":
            # Asked for by `arms.tls_floor`: here alone we speak with what knows nothing newer.
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                context.minimum_version = ssl.TLSVersion.TLSv1
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        else:
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._show(context, leaf)
        self._contexts.append((context, leaf))
        return context

    def _show(self, context: ssl.SSLContext, leaf: str) -> None:
        """Load the leaf as it is now. Connections that are open keep what they showed."""
        chain = self._pairs[leaf].certificate + self._pairs[_LEAVES[leaf]].certificate
        context.load_cert_chain(self._folder.chain(leaf, chain), self._folder.key(leaf))

    def _trust_adapters(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(cadata=self.adapter_ca_certificate + self._former())

    def _former(self) -> str:
        return self._folder.text(FORMER)
