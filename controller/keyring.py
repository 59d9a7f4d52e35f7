"""Secrets at rest: AES-GCM under a key file, and HMAC digests of random keys (architecture §3a.7)."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inventory.errors import Conflict
from inventory.secrets import Secret

KEY_BYTES = 32


class Keyring:
    """Seals texts for the database and digests random keys.

    A sealed value is `key id (8) ‖ nonce (12) ‖ ciphertext and tag`; `context` (table, column, row) is authenticated
    with it, so a value copied into another row does not open.
    """

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, this one {len(master)}")
        self._key_id = hashlib.sha256(b"kajitori key id" + master).digest()[:8]
        self._sealer = AESGCM(_derive(master, b"seal"))
        self._digest_key = _derive(master, b"digest")

    @classmethod
    def open(cls, path: Path) -> Keyring:
        """The key file at `path`; made with mode 0600 when it does not exist.

        Raises Conflict if others can read the file or it has the wrong length.
        """
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
        if path.stat().st_mode & 0o077:
            raise Conflict(
                f"{path.name} can be read by others",
                next_step=f"chmod 600 {path.name}, and think who read it.",
            )
        master = path.read_bytes()
        if len(master) != KEY_BYTES:
            raise Conflict(
                f"{path.name} has {len(master)} bytes, not {KEY_BYTES}",
                next_step="Restore the key file from your backup; without it nothing sealed can be read.",
            )
        return cls(master)

    @property
    def fingerprint(self) -> str:
        """Names the master key, and tells nothing of it."""
        return self._key_id.hex()

    def seal(self, secret: Secret | str, *, context: str) -> bytes:
        """Encrypt a text for the database."""
        text = secret.reveal() if isinstance(secret, Secret) else secret
        nonce = secrets.token_bytes(12)
        data = text.encode("utf-8", "surrogateescape")
        return self._key_id + nonce + self._sealer.encrypt(nonce, data, context.encode())

    def unseal(self, sealed: bytes, *, context: str) -> Secret:
        """Decrypt what `seal` made with the same context. Raises Conflict if the key or the context is another."""
        if sealed[:8] != self._key_id:
            raise Conflict(
                "a sealed value was made with another master key",
                next_step="Start with the master.key that belongs to this database.",
            )
        try:
            data = self._sealer.decrypt(sealed[8:20], sealed[20:], context.encode())
        except InvalidTag:
            raise Conflict(
                f"a sealed value does not belong to {context}, or was altered",
                next_step="Restore the database from a backup.",
            ) from None
        return Secret(data.decode("utf-8", "surrogateescape"))

    def digest(self, secret: Secret) -> bytes:
        """HMAC-SHA-256 of a random key of at least 32 characters, for look-up and comparison."""
        return hmac.digest(self._digest_key, secret.reveal().encode(), "sha256")

    def matches(self, secret: Secret, digest: bytes) -> bool:
        """Whether `digest` was made of `secret`; constant time."""
        return hmac.compare_digest(self.digest(secret), digest)


def new_key() -> Secret:
    """A random key of 43 characters (256 bits), for API keys, LS and RS keys and passphrases."""
    return Secret(secrets.token_urlsafe(32))


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"kajitori " + purpose).derive(master)
