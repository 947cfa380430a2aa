"""What a first user sees: where the service is, the key, and four lines that work when pasted."""

import shlex
import socket

from service.settings import Deployment

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - to be replaced


def banner(deployment: Deployment, listener: socket.socket) -> str:
    """Return the text that is printed when the service answers."""
    url = address(listener)
    key = deployment.root_key
    authorized = f"-H {shlex.quote(f'Authorization: Bearer {key}')}"
    # The answer is shown, and its receipt kept for the next line.
    show = (
        """; printf '%s\\n' "$ANSWER"; RECEIPT=$(printf %s "$ANSWER" | sed -n 's/.*"receipt":"\\([^"]*\\)".*/\\1/p')"""
    )
    opened = deployment.settings.push_opened
    push = f"Push may also reach {opened}.\n\n" if opened else ""
    return f"""
Restante answers at {url}
      Dashboard  {url}/dashboard
      API        {url}/docs
      Root key   {key}

{push}Create a queue, send a message, receive it, delete it:

curl -X PUT {url}/v1/queues/hello {authorized}
curl {url}/v1/queues/hello/messages {authorized} -d '{{"body": "Hello"}}'
ANSWER=$(curl -s {url}/v1/queues/hello/messages/receive {authorized} -d '{{"wait": 20}}'){show}
curl -i -X DELETE {url}/v1/receipts/$RECEIPT {authorized}
"""


def address(listener: socket.socket) -> str:
    """Return the URL to reach the socket from this machine."""
    host, port = listener.getsockname()[:2]
    if listener.family == socket.AF_INET6 and host not in _EVERYWHERE:
        host = f"[{host}]"
    return f"http://{_EVERYWHERE.get(host, host)}:{port}"
