"""A receiver's certificate has to be in order, whatever the environment says."""

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.in_process import in_process
from tests.push.test_receivers import HEAD, answering, attempt

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
AUTHORITY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of the tests")])


def certificate(
    key: ec.EllipticCurvePrivateKey, signed_by: ec.EllipticCurvePrivateKey, host: str, ends: datetime
) -> x509.Certificate:
    """Return the certificate of a host, or of the authority itself."""
    own = signed_by is key
    return (
        x509.CertificateBuilder()
        .subject_name(NAME if own else x509.Name([]))
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=True)
        .sign(signed_by, hashes.SHA256())
    )


ROOT = certificate(AUTHORITY, AUTHORITY, "127.0.0.1", NOW + DAY).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("host", "ends", "trusted", "error"),
    [
        ("127.0.0.1", NOW + DAY, True, None),
        ("127.0.0.1", NOW - DAY, True, "tls_error"),
        ("127.0.0.2", NOW + DAY, True, "tls_error"),
        ("127.0.0.1", NOW + DAY, False, "tls_error"),
    ],
    ids=["good", "expired", "of another host", "by nobody that is known"],
)
async def test_only_a_certificate_in_order_is_sent_a_message(
    *,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    ends: datetime,
    trusted: bool,
    error: str | None,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = tmp_path / "host.pem"
    chain.write_bytes(
        certificate(key, AUTHORITY, host, ends).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ROOT)
    for name, value in {"SSL_CERT_FILE": str(roots), "HTTPS_PROXY": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    if trusted:
        trusting = ssl.create_default_context(cafile=roots)
        monkeypatch.setattr("service.egress.connector.tls_context", lambda: trusting)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(chain)
    heads: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.read(1))
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")

    async with answering(take, theirs) as url, in_process(database) as service:
        kept = await attempt(service, url)
    assert (kept["status"], kept["error"]) == ((200, None) if error is None else (None, error))
    assert len(heads) == (error is None)
