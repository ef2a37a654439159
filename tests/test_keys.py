"""Keys and certificates: made, found fit, and refused in words where C2PA would refuse them."""

from __future__ import annotations

import datetime as dt
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from configs.errors import BadFile, BadInput
from configs.home import Home
from flows import keys
from flows.keys import new_keys
from tasks.certificate import read_signer

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
COMPANY = "露米埃 Lumière"


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def made(home) -> keys.Keys:
    return new_keys(home, COMPANY, years=3, now=NOW)


def secret(key, password: bytes | None = None) -> bytes:
    protection = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )


def private(path, data: bytes):
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def leaf(key, *, purposes=(Usage.EMAIL_PROTECTION,), usage=True, ca=False, issuer="root"):
    """Return a certificate signed by a root of its own, with what is asked of it."""
    root = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(keys._name(COMPANY, "leaf"))
        .issuer_name(keys._name(COMPANY, issuer))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
    )
    if usage:
        builder = builder.add_extension(keys._usage(sign=True), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class TestNew:
    def test_the_key_is_its_owners_alone(self, made):
        """The private key is a file of mode 0600 in a folder of mode 0700."""
        assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
        assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700
        assert b"PRIVATE KEY" in made.key.read_bytes()
        for public in (made.certificate, made.root):
            assert b"PRIVATE" not in public.read_bytes()

    def test_the_chain_is_fit_to_sign(self, made):
        """What was made passes every check, and is EC P-256."""
        signer = read_signer(made.certificate, made.key, NOW)
        assert signer.algorithm == "es256"
        assert signer.chain.count(b"BEGIN CERTIFICATE") == 2

    def test_a_signer_shows_no_key(self, made):
        """Neither repr nor str of what signs shows the private key."""
        signer = read_signer(made.certificate, made.key, NOW)
        assert b"PRIVATE KEY" in signer.key
        assert "PRIVATE" not in repr(signer) + str(signer)

    def test_nothing_is_overwritten(self, home, made):
        """A second chain in one home is refused, and the first one stays."""
        before = made.key.read_bytes()
        with pytest.raises(BadInput, match="is there already"):
            new_keys(home, COMPANY, years=3, now=NOW)
        assert made.key.read_bytes() == before

    @pytest.mark.parametrize("company", ["", "  ", "x" * 65, "two\nlines"])
    def test_a_company_has_a_name(self, home, company):
        """A certificate needs a name that its field holds."""
        with pytest.raises(BadInput, match="--company"):
            new_keys(home, company, years=3, now=NOW)


class TestRefused:
    @pytest.mark.parametrize(
        ("days", "said"), [(3 * 365 + 1, "expired on 2029-11-21"), (-2, "is valid from 2026-11-21")]
    )
    def test_out_of_its_time(self, made, days, said):
        """A certificate that expired, or is not valid yet, is named with its day."""
        with pytest.raises(BadFile, match=said):
            read_signer(made.certificate, made.key, NOW + dt.timedelta(days=days))

    def test_another_key(self, made, tmp_path):
        """A key that does not belong to the certificate is refused."""
        key = private(tmp_path / "other.key", secret(ec.generate_private_key(ec.SECP256R1())))
        with pytest.raises(BadFile, match="is not the key of the first certificate"):
            read_signer(made.certificate, key, NOW)

    def test_a_password(self, made, tmp_path):
        """A protected key is refused, and the message shows nothing of it."""
        data = secret(ec.generate_private_key(ec.SECP256R1()), b"hunter2")
        key = private(tmp_path / "locked.key", data)
        with pytest.raises(BadFile, match="protected by a password") as caught:
            read_signer(made.certificate, key, NOW)
        assert data.decode().splitlines()[1] not in str(caught.value)

    def test_a_key_that_others_can_read(self, made):
        """A key of mode 0644 is refused with the command that helps."""
        made.key.chmod(0o644)
        with pytest.raises(BadFile, match="chmod 600"):
            read_signer(made.certificate, made.key, NOW)

    @pytest.mark.parametrize(
        "purposes", [(), (Usage.SERVER_AUTH,), (Usage.ANY_EXTENDED_KEY_USAGE,)]
    )
    def test_a_certificate_for_something_else(self, tmp_path, purposes):
        """A web server's certificate does not sign content."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = tmp_path / "web.pem"
        certificate.write_bytes(leaf(key, purposes=purposes))
        with pytest.raises(BadFile, match="extended key usage must be"):
            read_signer(certificate, private(tmp_path / "a.key", secret(key)), NOW)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"ca": True}, "CA's own certificate"),
            ({"issuer": "leaf"}, "CA's own certificate"),
            ({"usage": False}, "key usage does not allow"),
        ],
    )
    def test_a_certificate_that_may_not_sign(self, tmp_path, changes, said):
        """A CA's certificate, one that signed itself, and one without the usage are refused."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = tmp_path / "a.pem"
        certificate.write_bytes(leaf(key, **changes))
        with pytest.raises(BadFile, match=said):
            read_signer(certificate, private(tmp_path / "a.key", secret(key)), NOW)

    @pytest.mark.parametrize(
        "key", [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 1024)]
    )
    def test_an_algorithm_that_c2pa_lacks(self, tmp_path, key):
        """Bitcoin's curve and short RSA keys are refused."""
        certificate = tmp_path / "a.pem"
        certificate.write_bytes(leaf(key))
        with pytest.raises(BadFile, match="C2PA takes EC P-256"):
            read_signer(certificate, private(tmp_path / "a.key", secret(key)), NOW)

    def test_a_chain_in_the_wrong_order(self, made):
        """The root first, or a foreign root behind, is told as such."""
        one, two = made.certificate.read_bytes().split(b"-----END CERTIFICATE-----\n")[:2]
        end = b"-----END CERTIFICATE-----\n"
        made.certificate.write_bytes(two + end + one + end)
        with pytest.raises(BadFile, match="put the signing certificate first"):
            read_signer(made.certificate, made.key, NOW)
        stranger = leaf(ec.generate_private_key(ec.SECP256R1()))
        made.certificate.write_bytes(one + end + stranger)
        with pytest.raises(BadFile, match="was not issued by certificate 2"):
            read_signer(made.certificate, made.key, NOW)

    @pytest.mark.parametrize(
        "data", [b"", b"\0" * 100, b"-----BEGIN CERTIFICATE-----\nx\n", b"x" * 300_000]
    )
    def test_files_that_are_something_else(self, made, data):
        """Neither an empty file nor a large one is read as PEM."""
        key = made.key.read_bytes()
        made.certificate.write_bytes(data)
        with pytest.raises(BadFile, match=r"signing\.pem"):
            read_signer(made.certificate, made.key, NOW)
        assert made.key.read_bytes() == key

    def test_a_missing_file(self, made):
        """A file that is not there is named."""
        made.key.unlink()
        with pytest.raises(BadFile, match=r"signing\.key"):
            read_signer(made.certificate, made.key, NOW)
