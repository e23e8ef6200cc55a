"""The errors a user can meet. Each message is one line: what is wrong, where, and what to do."""


class LoglakeError(Exception):
    """Something the user or operator can mend. The command line prints the message and exits with `exit_code`."""

    exit_code = 2


class SettingsError(LoglakeError):
    """A setting is missing or cannot be used."""


class ServiceError(LoglakeError):
    """A service could not be started, reached or stopped."""

    exit_code = 1


class BadInputError(LoglakeError):
    """A file, an option or a record given by the user cannot be used."""


class LoadInProgressError(LoglakeError):
    """Another load holds the lock."""

    exit_code = 1


class SnapshotExpiredError(LoglakeError):
    """The lake no longer holds the history between the loader's position and now."""


class StreamPositionError(LoglakeError):
    """The lake, the checkpoint and the topic contradict each other, so no start position is safe."""


class SchemaError(LoglakeError):
    """The warehouse or the lake has a shape that this release cannot bring to its own by adding columns."""


class OutOfDateError(LoglakeError):
    """A generated file does not hold what it should."""

    exit_code = 1


class NotBalancedError(LoglakeError):
    """The books do not balance."""

    exit_code = 1
