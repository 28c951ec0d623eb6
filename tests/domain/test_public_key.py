"""Public keys as they are pushed."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.programs import needs

from hatchway.domain.public_key import (
    KEY_TYPES,
    InvalidPublicKey,
    authorized_keys_line,
    parse_public_key,
)

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def openssh(
    public_key: ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
) -> str:
    return public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
PUBLIC = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
POINT = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)


def sk_ed25519(public: bytes = PUBLIC, application: bytes = b"ssh:") -> str:
    return f"{SK_ED25519} {blob(SK_ED25519.encode(), public, application)}"


def sk_ecdsa(curve: bytes = b"nistp256", point: bytes = POINT) -> str:
    return f"{SK_ECDSA} {blob(SK_ECDSA.encode(), curve, point, b'ssh:work')}"


KEYS = {
    "ed25519": openssh(ed25519.Ed25519PrivateKey.generate().public_key()),
    "rsa 2048": openssh(rsa.generate_private_key(65537, 2048).public_key()),
    "rsa 3072": openssh(rsa.generate_private_key(65537, 3072).public_key()),
    "p256": openssh(ec.generate_private_key(ec.SECP256R1()).public_key()),
    "p384": openssh(ec.generate_private_key(ec.SECP384R1()).public_key()),
    "p521": openssh(ec.generate_private_key(ec.SECP521R1()).public_key()),
    "ed25519 on a security key": sk_ed25519(),
    "p256 on a security key": sk_ecdsa(),
}


@needs("ssh-keygen", "openssh-client")
@pytest.mark.parametrize("text", KEYS.values(), ids=KEYS.keys())
def test_a_key_is_read_and_its_fingerprint_is_openssh_s(text: str, tmp_path: Path) -> None:
    key = parse_public_key(text)
    file = tmp_path / "key.pub"
    file.write_text(text)
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", file], capture_output=True, text=True, check=True
    ).stdout
    assert key.fingerprint == shown.split()[1]
    assert authorized_keys_line(key) == text


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", " alice@laptop", " a comment of words\n", " é"])
def test_comment_and_line_end_are_left_out_of_the_line_for_sshd(ending: str) -> None:
    assert authorized_keys_line(parse_public_key(ED25519 + ending)) == ED25519


RSA_1024 = openssh(rsa.generate_private_key(65537, 1024).public_key())
DSA = "ssh-dss " + blob(b"ssh-dss", bytes(129), bytes(21), bytes(128), bytes(128))
MODULUS = (1 << 2047 | 1).to_bytes(257, "big")
P256 = KEYS["p256"].split()[1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "80 to 4096"),
        (ED25519[:-1], "80 to 4096"),
        (ED25519 + " " + "x" * 4096, "80 to 4096"),
        (f'command="id" {ED25519}', "begin with one of"),
        (f"no-pty {ED25519}", "begin with one of"),
        (" " + ED25519, "begin with one of"),
        (ED25519.replace(" ", "\t"), "control characters"),
        (f"{ED25519}\n{ED25519}", "one line"),
        (f"{ED25519}\rcommand", "one line"),
        (f"{ED25519} x\0y", "control characters"),
        (f"{ED25519} x\x9by", "control characters"),
        (f"{ED25519}\n\n", "one line"),
        (DSA, "begin with one of"),
        ("sk-ssh-ed25519@openssh.com " + "A" * 68, "not of type"),
        (f"{SK_ED25519} " + ED25519.split()[1], "not of type"),
        ("ssh-ed25519 " + sk_ed25519().split()[1], "not of type"),
        (sk_ed25519(public=bytes(31)), "32 bytes"),
        (sk_ed25519(application=b""), "application"),
        (sk_ed25519(application=b"ssh:\0"), "application"),
        (sk_ed25519(application=b"s" * 256), "application"),
        (f"{SK_ED25519} {blob(SK_ED25519.encode(), PUBLIC)} padding", "cut short"),
        (f"{SK_ED25519} {blob(SK_ED25519.encode(), PUBLIC, b'ssh:', b'more')}", "something follows"),
        (sk_ecdsa(curve=b"nistp384"), "another curve"),
        (sk_ecdsa(point=b"\x02" + bytes(32)), "uncompressed"),
        ("ssh-ed25519-cert-v01@openssh.com " + "A" * 68, "begin with one of"),
        ("sk-ssh-ed25519-cert-v01@openssh.com " + "A" * 68, "begin with one of"),
        ("webauthn-sk-ecdsa-sha2-nistp256@openssh.com " + "A" * 68, "begin with one of"),
        (f"no-touch-required {sk_ed25519()}", "begin with one of"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----" + "A" * 68, "begin with one of"),
        ("ssh-ed25519  " + ED25519.split()[1], "cut short"),
        ("ssh-ed25519 " + "!" * 68, "not base64"),
        (ED25519[:-1] + "é", "not base64"),
        (ED25519 + "====", "not base64"),
        ("ssh-rsa " + ED25519.split()[1] + " padding", "not of type ssh-rsa"),
        ("ssh-ed25519 " + blob(b"ssh-ed25519", bytes(31)) + " " * 20, "32 bytes"),
        ("ssh-ed25519 " + blob(b"ssh-ed25519", bytes(32), b"more"), "something follows"),
        (
            "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\xff\xff\xff\xff" + bytes(50)).decode(),
            "cut short",
        ),
        (RSA_1024, "2048 to 16384 bits, not 1024"),
        ("ssh-rsa " + blob(b"ssh-rsa", b"\x01", MODULUS), "cannot be right"),
        ("ssh-rsa " + blob(b"ssh-rsa", b"\x04", MODULUS), "cannot be right"),
        ("ssh-rsa " + blob(b"ssh-rsa", b"\x03", MODULUS[:-1] + b"\0"), "cannot be right"),
        ("ssh-rsa " + blob(b"ssh-rsa", b"\x83", MODULUS), "not positive"),
        ("ssh-rsa " + blob(b"ssh-rsa", b"\0\x03", MODULUS), "shortest form"),
        ("ssh-rsa " + blob(b"ssh-rsa", b"", MODULUS), "not positive"),
        ("ecdsa-sha2-nistp384 " + P256, "not of type"),
        (
            "ecdsa-sha2-nistp256 " + blob(b"ecdsa-sha2-nistp256", b"nistp384", b"\x04" + bytes(64)),
            "another curve",
        ),
        (
            "ecdsa-sha2-nistp256 " + blob(b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(32)),
            "uncompressed",
        ),
    ],
)
def test_what_is_not_one_plain_key_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidPublicKey, match=why):
        parse_public_key(text)


@given(
    st.text(min_size=80, max_size=300)
    | st.text(max_size=200).map(lambda text: "ssh-ed25519 " + text + "A" * 80)
)
def test_no_text_makes_it_fail_in_another_way(text: str) -> None:
    try:
        key = parse_public_key(text)
    except InvalidPublicKey:
        return
    assert "\n" not in authorized_keys_line(key)


@given(st.binary(max_size=200))
def test_no_blob_makes_it_fail_in_another_way(tail: bytes) -> None:
    for key_type in KEY_TYPES:
        name = key_type.encode()
        encoded = base64.b64encode(len(name).to_bytes(4, "big") + name + tail).decode()
        try:
            key = parse_public_key(f"{key_type} {encoded} {'comment' * 10}")
        except InvalidPublicKey:
            continue
        assert authorized_keys_line(key) == f"{key_type} {encoded}"
