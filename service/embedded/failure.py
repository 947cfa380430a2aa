"""The error of the embedded database."""


class CannotStart(Exception):  # noqa: N818 - named after what happened
    """The embedded database cannot start. The text tells the operator what to do."""
