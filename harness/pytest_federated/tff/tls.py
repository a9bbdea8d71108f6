"""TLS between pytest and workers on other machines, each of which shows the other a certificate.

A key file (PEM) holds a private key, its certificate, and any others to trust. Both sides use a
copy of one file, or each has its own, with a certificate of an authority that is in both.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any, Optional

from pytest_federated.core.errors import FederatedError

NAME = "pytest-federated"  # for what a certificate has to be made out, the machine does not matter
_DAYS = 365
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n?", re.DOTALL)


def create_key_file(path: Path) -> None:
    """Makes a key and a certificate that is valid for a year, for its owner alone to read.

    Raises:
        FederatedError: openssl is missing or failed, or the file cannot be written.

    """
    if not shutil.which("openssl"):
        raise FederatedError(f"{path} does not exist, and openssl, which would make it, is missing")
    request = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-days", str(_DAYS)]
    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"]
    name = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    command = [*request, *curve, *name, "-keyout", "/dev/stdout"]
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if made.returncode:
        error = made.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise FederatedError(f"{path}: openssl cannot make a certificate: {error}")
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(made.stdout)
    except OSError as error:
        raise FederatedError(f"{path} cannot be written: {error.strerror}") from error


def server_context(path: Path) -> ssl.SSLContext:
    """Returns the side of a worker.

    Raises:
        FederatedError: the file is no key file.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])  # gRPC asks for it
    return context


def is_made_out_to_us(certificate: Optional[dict[str, Any]]) -> bool:
    """Whether a certificate, as `ssl.SSLSocket.getpeercert` returns it, has our name."""
    return ("DNS", NAME) in (certificate or {}).get("subjectAltName", ())


def channel_arguments(path: Path) -> tuple[Any, list[tuple[str, str]]]:
    """Returns the credentials and the options of a gRPC channel to a worker.

    Raises:
        FederatedError: the file is no key file.

    """
    import grpc

    key, certificates = _read(path)
    credentials = grpc.ssl_channel_credentials(certificates, key, certificates)
    return credentials, [("grpc.ssl_target_name_override", NAME)]


def refusal(address: str, path: Optional[Path], seconds: float) -> Optional[str]:
    """Returns why a worker and we do not agree on TLS, or None if that is not what is wrong.

    Args:
        address: of the worker, as ``host:port``.
        path: our key file; None where we speak no TLS.
        seconds: to wait for an answer.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if path is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        _load(context, path)
    host, _, port = address.rpartition(":")
    asks = "it asks for TLS (--fed-workers-tls FILE)"
    refused = f"it does not accept the certificate of {path}"
    try:
        plain = socket.create_connection((host.strip("[]"), int(port)), seconds)
        with plain, context.wrap_socket(plain, server_hostname=NAME) as connection:
            if path is None:
                return asks
            if connection.recv(1):  # it looks at our certificate only now
                return None
            return refused
    except ssl.SSLCertVerificationError as error:
        return f"its certificate does not agree with {path}: {error.verify_message}"
    except ssl.SSLError as error:
        is_of_tls = "ALERT" in (error.reason or "")
        if path is None:
            return asks if is_of_tls else None
        if is_of_tls:
            return refused
        return "it does not speak TLS (pytest-federated worker --tls FILE)"
    except OSError:
        pass
    return None


def _load(context: ssl.SSLContext, path: Path) -> None:
    _read(path)  # its errors say more
    try:
        context.load_cert_chain(path)
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise FederatedError(f"{path}: its key and certificate cannot be used: {reason}") from error


def _read(path: Path) -> tuple[bytes, bytes]:
    """Returns the private key and the certificates of a key file."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise FederatedError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    blocks = [(block[1], block[0]) for block in _BLOCK.finditer(text)]
    keys = [block for kind, block in blocks if kind.endswith("PRIVATE KEY")]
    certificates = [block for kind, block in blocks if kind == "CERTIFICATE"]
    if len(keys) != 1 or not certificates:
        raise FederatedError(
            f"{path} is no key file: it must hold one private key and its certificate, as PEM; "
            "'pytest-federated worker --tls FILE' makes one"
        )
    return keys[0].encode(), "".join(certificates).encode()
