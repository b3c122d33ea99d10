"""A relay that speaks TLS to its clients and plain TCP to the server; certificates made on the spot."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from support.proxy import Proxy

NAME = "localhost"  # the host name that the certificate is for


def authority(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a fresh certificate for NAME, and the file of the authority to trust."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(NAME).configure_cert(context)
    path = directory / "authority.pem"
    ca.cert_pem.write_to_path(str(path))
    return context, path


def relay(target_host: str, target_port: int, directory: Path) -> tuple[Proxy, Path]:
    """A proxy (support.proxy) with TLS towards its clients, and the authority's file."""
    context, path = authority(directory)
    return Proxy(target_host, target_port, tls=context), path
