"""The one exception that every reader of files raises when what it finds cannot be used."""


class DatasetError(ValueError):
    """Input that cannot be used: names the file, what was expected, what was found and what to do.

    Commands print its message as one line and leave with exit status 2.
    """
