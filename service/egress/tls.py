"""Whom push believes: the system's certificate authorities, whatever the environment says."""

import os
import ssl
from pathlib import Path

import certifi


def tls_context() -> ssl.SSLContext:
    """Return a client's context. Not the library's default one, to which SSL_CERT_FILE and SSL_CERT_DIR add."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    if file.is_file():
        context.load_verify_locations(cafile=file)
    elif folder.is_dir() and any(os.scandir(folder)):
        context.load_verify_locations(capath=folder)
    else:
        context.load_verify_locations(cafile=certifi.where())
    return context
