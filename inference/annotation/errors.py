"""Requests that an annotation cannot fulfil; the message is one line for the user."""


class Refused(ValueError):
    """The request is wrong: its values, or a frame or an object that does not exist."""


class Conflict(Refused):
    """The request is right, but not in the present state: a locked frame, a propagation that runs."""


class Missing(Refused):
    """What was asked for does not exist yet, or no longer."""
