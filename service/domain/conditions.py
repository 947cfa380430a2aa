"""Callbacks by which the caller of an operation checks and changes a configuration, whichever noun it belongs to."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Checks the current configuration while nothing else can change it; None: it does not exist. Raises PreconditionFailed.
ConfigCheck = Callable[[T | None], None]
# Returns the new configuration for the current one.
ConfigChange = Callable[[T], T]
