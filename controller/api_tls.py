"""TLS of REST and pages: 1.2 and newer, whatever the ARMS listeners speak."""

from __future__ import annotations

import ssl

from controller.settings import ApiSettings
from inventory.errors import BadInput


def context_of(settings: ApiSettings) -> ssl.SSLContext | None:
    """The server's context; None for plain HTTP. Raises BadInput that names the setting that does not fit."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "api.tls_certificate" if certificate is None else "api.tls_key"
        raise BadInput(
            f"{missing} is missing: TLS needs a certificate and its key",
            field=missing,
            next_step="Set both for HTTPS, or neither for plain HTTP.",
        )
    for field, path in (("api.tls_certificate", certificate), ("api.tls_key", key)):
        try:
            text = path.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise BadInput(
                f"{field}: {path} cannot be read: {error.strerror}", field=field, next_step="Check path and mode."
            ) from None
        if field == "api.tls_key" and "ENCRYPTED" in text:
            raise BadInput(
                f"{field}: the key in {path} is encrypted, and nobody is there to type a passphrase",
                field=field,
                next_step="Decrypt it (openssl pkey -in FILE) into a file with mode 0600.",
            )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise BadInput(
            f"api.tls_certificate: {certificate} and {key} do not fit: {error.reason or 'not PEM'}",
            field="api.tls_certificate",
            next_step="Give a PEM certificate and the key that it was made for.",
        ) from None
    return context
