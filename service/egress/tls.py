"""The TLS configuration of webhooks: they trust the system's certificate authorities only."""

import os
import ssl
from functools import cache
from pathlib import Path

import certifi


@cache
def tls_context() -> ssl.SSLContext:
    """Return a client context that ignores the environment's SSL_CERT_FILE and SSL_CERT_DIR.

    It is cached, because reading the certificates blocks the event loop for tens of milliseconds.
    """
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
