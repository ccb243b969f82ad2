"""How the parts of a session know each other: a key of its own, and a certificate for its hub."""

from __future__ import annotations

import datetime
import secrets
import ssl
from dataclasses import dataclass, field

from flyte_jupyter.targets.kubernetes.boot import NAME

__all__ = ["Trust", "new_trust", "trusting"]

# Clocks differ, and a session may be long.
BEFORE, AFTER = datetime.timedelta(days=1), datetime.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a session is let in by.

    Args:
        key: whoever knows it is the kernel; those of the pods are made from it.
        certificate: of the hub, PEM; pods trust this one and no other.
        private: its key, PEM.
    """

    key: bytes = field(repr=False)
    certificate: str
    private: str = field(repr=False)


def new_trust() -> Trust:
    """Return what a new session is let in by."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + AFTER)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    return Trust(
        secrets.token_bytes(32),
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def trusting(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts one hub.

    Args:
        certificate: the hub's, PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    return context
