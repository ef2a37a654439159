"""The certificate that deliveries are signed with, and its private key: read, and found fit or not.

Everything that C2PA would refuse at signing is refused here, at plan time. The key's bytes stay in
`Signer`: no message, log, record or repr shows them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from catalogs.hashes import regular
from configs.errors import BadFile

LARGEST = 256 * 1024
"""Bytes; a chain of four certificates takes 8 KB."""

PURPOSES = {
    Usage.EMAIL_PROTECTION.dotted_string: "emailProtection",
    "1.3.6.1.5.5.7.3.36": "documentSigning",
    "1.3.6.1.4.1.62558.2.1": "C2PA claim signing",
}
"""Extended key usages with which C2PA 2.2, section 14.5.1, lets a certificate sign."""

Extension = TypeVar("Extension", bound=x509.ExtensionType)

CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True)
class Signer:
    """What it takes to sign."""

    chain: bytes
    """PEM, the signing certificate first."""
    key: bytes = field(repr=False)
    """PEM, PKCS #8, without a password."""
    algorithm: str
    """C2PA's word, such as `es256`."""


def read_signer(certificate: Path, key: Path, now: dt.datetime) -> Signer:
    """Return what signs, once it is certain that C2PA will take it.

    Args:
        certificate: PEM: the signing certificate, then those that issued it.
        key: PEM: the private key of the first of them.
        now: aware; the certificate must be valid then.

    Raises:
        BadFile: saying which file is wrong and what would be right.
    """
    chain, name = _chain(certificate), certificate.name
    private = _private(key)
    leaf = chain[0]
    if _public(leaf.public_key()) != _public(private.public_key()):
        others = any(_public(one.public_key()) == _public(private.public_key()) for one in chain)
        advice = "put the signing certificate first" if others else "give the key of this one"
        raise BadFile(f"{key.name}: is not the key of the first certificate in {name}; {advice}")
    _check_dates(leaf, name, now)
    _check_use(leaf, name)
    _check_order(chain, name)
    return Signer(
        chain=b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain),
        key=private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        algorithm=_algorithm(leaf.public_key(), name),
    )


def _text(path: Path) -> bytes:
    size = regular(path).st_size
    if size > LARGEST:
        raise BadFile(f"{path.name}: has {size} bytes, and no PEM file of keys has; give another")
    return path.read_bytes()


def _chain(path: Path) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_text(path))
    except ValueError:
        raise BadFile(
            f"{path.name}: holds no PEM certificate; it begins with -----BEGIN CERTIFICATE-----"
        ) from None


Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def _private(path: Path) -> Private:
    """Return a private key that nobody else can read.

    Its own errors are dropped, lest they quote the file.
    """
    if regular(path).st_mode & 0o077:
        raise BadFile(
            f"{path.name}: others on this machine can read this private key; run "
            f"`chmod 600 {path.name}` (a home under /mnt/c of WSL2 cannot keep that: move it)"
        )
    try:
        key = serialization.load_pem_private_key(_text(path), password=None)
    except TypeError:
        raise BadFile(
            f"{path.name}: is protected by a password, and runs go on without anybody to ask; "
            "give the key without one, readable by you alone"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadFile(f"{path.name}: holds no PEM private key that can be read") from None
    if not isinstance(key, Private):
        raise BadFile(f"{path.name}: C2PA signs with EC, Ed25519 and RSA keys only")
    return key


def _public(key: object) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(encoding, form))  # type: ignore[attr-defined]


def _check_dates(leaf: x509.Certificate, name: str, now: dt.datetime) -> None:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now > ends:
        raise BadFile(f"{name}: expired on {ends:%Y-%m-%d}; get another, or run `keyreel keys new`")
    if now < begins:
        raise BadFile(f"{name}: is valid from {begins:%Y-%m-%d} only; look at this machine's clock")


def _check_use(leaf: x509.Certificate, name: str) -> None:
    """Raise BadFile where the certificate is for something else than signing content."""
    basic = _extension(leaf, x509.BasicConstraints)
    if (basic and basic.ca) or leaf.issuer == leaf.subject:
        raise BadFile(f"{name}: begins with a CA's own certificate; one that it issued must sign")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise BadFile(f"{name}: its key usage does not allow digital signatures; get one that does")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    found = {purpose.dotted_string for purpose in purposes or ()}
    if not found & PURPOSES.keys() or Usage.ANY_EXTENDED_KEY_USAGE.dotted_string in found:
        allowed = " or ".join(PURPOSES.values())
        raise BadFile(f"{name}: its extended key usage must be {allowed}; get one that has it")
    if _extension(leaf, x509.AuthorityKeyIdentifier) is None:
        raise BadFile(f"{name}: has no authority key identifier, which C2PA asks for")


def _extension(leaf: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return leaf.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):  # the latter where extensions are garbled
        return None


def _check_order(chain: Sequence[x509.Certificate], name: str) -> None:
    for number, (one, issuer) in enumerate(pairwise(chain), start=1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise BadFile(
                f"{name}: certificate {number} was not issued by certificate {number + 1}; "
                "put each before the one that issued it"
            ) from None


def _algorithm(key: object, name: str) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return "ps256"
    raise BadFile(f"{name}: C2PA takes EC P-256, P-384, P-521, Ed25519 and RSA from 2048 bits")
