"""The one exception that means: the input is wrong, and the message says which, how and what to do."""


class InputError(ValueError):
    """Input that cannot be used.

    The message is one line that names the file or value, what is wrong with it and what to do. The command line
    prints it without a traceback and exits with status 2.
    """
