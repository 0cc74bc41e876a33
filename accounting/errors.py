"""The exception tree of kilotoken.

KilotokenError                 a message a user can act on; `exit_code` is what the command returns
├── ConfigError          (2)   a file or an option is wrong: names the key, what is allowed, what to do
├── MachineError         (3)   this machine lacks something: engine, disk, port, permission
├── ModelError           (4)   a model cannot be fetched, checked, converted or loaded
├── ServerError          (5)   the server failed to start, died, or answered garbage
├── LoadError            (6)   the load generator failed or produced records that cannot be read
└── RunError             (7)   a run directory is missing, locked, incomplete or damaged

`Interrupted` (130) is Ctrl-C or SIGTERM: finished blocks are kept, `--resume` goes on.
"""


class KilotokenError(Exception):
    """Base of every error that the command line prints as one paragraph instead of a traceback.

    `message` says what was wrong and what is allowed; `hint` says what to do next; `details` is text to
    show below (a log's last lines), already plain.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class ConfigError(KilotokenError):
    """A configuration, experiment, price or command-line value cannot be used."""

    exit_code = 2


class MachineError(KilotokenError):
    """The machine lacks something the command needs."""

    exit_code = 3


class ModelError(KilotokenError):
    """A model cannot be fetched, verified, converted or used."""

    exit_code = 4


class ServerError(KilotokenError):
    """The server under test failed."""

    exit_code = 5


class LoadError(KilotokenError):
    """The load generator failed."""

    exit_code = 6


class RunError(KilotokenError):
    """A run directory cannot be used as asked."""

    exit_code = 7


class Interrupted(KilotokenError):  # noqa: N818 - it is a request by the user, not an error
    """The user asked to stop; what was finished is kept."""

    exit_code = 130
