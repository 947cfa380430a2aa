"""The text printed at startup: the URLs, the root key, and four commands that can be pasted into a shell."""

import shlex
import socket
import sys

from service.settings import Deployment

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - replaced, not bound


def banner(deployment: Deployment, listener: socket.socket, *, show_key: bool) -> str:
    """Return the startup text. Without `show_key`, its commands read the key from its file or variable."""
    url = address(listener)
    key = deployment.root_key if show_key else deployment.root_key_source
    authorized = "Authorization: Bearer "
    authorized = f"-H {shlex.quote(authorized + key)}" if show_key else f'-H "{authorized}{key}"'
    # Print the response, and store its receipt for the next command.
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
      Commands   {_command()} --help

{push}Create a queue, send a message, receive it, delete it:

curl -X PUT {url}/v1/queues/hello {authorized}
curl {url}/v1/queues/hello/messages {authorized} -d '{{"body": "Hello"}}'
ANSWER=$(curl -s {url}/v1/queues/hello/messages/receive {authorized} -d '{{"wait": 20}}'){show}
curl -i -X DELETE {url}/v1/receipts/$RECEIPT {authorized}
"""


def _command() -> str:
    """Return the command that started this program."""
    return shlex.quote(sys.argv[0])


def address(listener: socket.socket) -> str:
    """Return the URL of the socket, for clients on this machine."""
    host, port = listener.getsockname()[:2]
    if listener.family == socket.AF_INET6 and host not in _EVERYWHERE:
        host = f"[{host}]"
    return f"http://{_EVERYWHERE.get(host, host)}:{port}"
