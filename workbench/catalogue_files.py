"""Where the catalogues of prices and devices lie: the product's files in the package, the user's in the configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from accounting.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One of the catalogues: `word` is its command, and names its file and its environment variable."""

    word: str

    @property
    def file(self) -> str:
        """Name of the file, the product's and the user's."""
        return f"{self.word}.toml"

    @property
    def variable(self) -> str:
        """Environment variable that names a user's file."""
        return f"KILOTOKEN_{self.word.upper()}"

    @property
    def origin(self) -> str:
        """What messages call the product's own file."""
        return f"kilotoken's own {self.file}"

    @property
    def hint(self) -> str:
        """Where to see what a row looks like."""
        return f"`kilotoken {self.word} --json` shows what whole rows look like."

    def text(self) -> str:
        """The product's file."""
        return (files("workbench") / "catalogues" / self.file).read_text(encoding="utf-8")


PRICES = Catalogue("prices")
DEVICES = Catalogue("devices")


def user_path(catalogue: Catalogue, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the user's file is looked for: its environment variable, else the XDG configuration directory."""
    if chosen := environment.get(catalogue.variable):
        return Path(chosen).expanduser().absolute()
    xdg = environment.get("XDG_CONFIG_HOME")
    root = Path(xdg).expanduser().absolute() if xdg else Path.home() / ".config"
    return root / "kilotoken" / catalogue.file


def user_file(catalogue: Catalogue, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The user's file; None where there is none.

    Raises:
        ConfigError: if the environment variable names a file that is not there.
    """
    path = user_path(catalogue, environment)
    if path.exists():
        return path
    if environment.get(catalogue.variable):
        raise ConfigError(
            f"{catalogue.variable} names {path}, which does not exist.",
            hint=f"Correct it, or unset {catalogue.variable} to use what comes with kilotoken.",
        )
    return None


def user_text(path: Path) -> str:
    """Text of a user's file.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
