"""`keyreel keys new`: a chain of one's own to sign with, where no authority's is at hand.

It proves that a file is whole and comes from whoever has the key; it proves no name to a stranger,
who must be given the root certificate first.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from configs.errors import BadInput
from configs.home import Home

FOLDER = "keys"
MOST_YEARS = 30
LONGEST = 64
"""Characters of an organisation's name: RFC 5280, ub-organization-name."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The files of a chain, in the home."""

    certificate: Path
    """The signing certificate, then the root."""
    key: Path
    """The private key, mode 0600."""
    root: Path
    """What a reader must trust."""


def new_keys(home: Home, company: str, *, years: int, now: dt.datetime) -> Keys:
    """Make a root and a signing certificate, EC P-256; the root's own key is thrown away.

    Args:
        home: the files go to its `keys/`.
        company: stands in both certificates as the organisation.
        years: from `now` on; a signature without a time stamp is worth nothing after that.
        now: aware.

    Raises:
        BadInput: where a file is there already: files signed with it could no longer be renewed.
    """
    if not company.strip() or len(company) > LONGEST or not company.isprintable():
        raise BadInput(f"--company: give the company's name, at most {LONGEST} characters")
    folder = home.root / FOLDER
    made = Keys(folder / "signing.pem", folder / "signing.key", folder / "root.pem")
    for path in (made.certificate, made.key, made.root):
        if path.exists():
            raise BadInput(f"{path}: is there already, and is not overwritten; move it away first")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ends = now + dt.timedelta(days=365 * years)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _root(company, root_key, now, ends)
    leaf = _leaf(company, key, root, root_key, now, ends)
    _write(made.key, _secret(key), 0o600)
    _write(made.root, _pem(root), 0o644)
    _write(made.certificate, _pem(leaf) + _pem(root), 0o644)
    return made


def _root(
    company: str, key: ec.EllipticCurvePrivateKey, begins: dt.datetime, ends: dt.datetime
) -> x509.Certificate:
    name = _name(company, f"{company} root"[:LONGEST])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _begun(name, name, key, begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    company: str,
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    begins: dt.datetime,
    ends: dt.datetime,
) -> x509.Certificate:
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(company, f"{company} content"[:LONGEST])
    return (
        _begun(name, root.subject, key, begins, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(purpose, critical=True)
        .add_extension(issuer, critical=False)
        .add_extension(own, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: dt.datetime,
    ends: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - dt.timedelta(minutes=5))  # a reader's clock may be behind ours
        .not_valid_after(ends)
    )


def _name(company: str, common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, company),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        key_cert_sign=not sign,
        crl_sign=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _secret(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a new file that was never readable by more than `mode` says."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
