"""Secrets by reference: the setting says where the secret is, and only the process that needs it reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr


def resolve(value: object) -> object:
    """``env:NAME`` → the variable's value, ``file:PATH`` → the file's text without its last line break; else unchanged.

    Raises ValueError that names the reference, never a secret.
    """
    if not isinstance(value, str):
        return value
    if value.startswith("env:"):
        name = value[4:]
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name]
    if value.startswith("file:"):
        try:
            return Path(value[5:]).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file {value[5:]} cannot be read: {type(error).__name__}") from None
    return value


Secret = Annotated[SecretStr, BeforeValidator(resolve)]
"""A field of a plugin's config that takes a literal, ``env:NAME`` or ``file:PATH``, and never shows in a repr."""
