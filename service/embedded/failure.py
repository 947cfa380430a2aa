"""What keeps the embedded database from starting."""


class CannotStart(Exception):  # noqa: N818 - it says what happened
    """The embedded database cannot start; the sentence is for the operator and says what to do."""
