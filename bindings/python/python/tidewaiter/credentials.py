"""Credentials: who asks a registry. No ``repr`` shows a secret."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any


class Credential:
    """Who asks a registry."""

    __slots__ = ("_shape",)

    #: The JSON object that every language has for it.
    _shape: dict[str, Any]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Anonymous(Credential):
    """Nobody: only what is open to everybody."""

    __slots__ = ()

    def __init__(self) -> None:
        self._shape = {"anonymous": {}}


class Basic(Credential):
    """A user name and a password: given, or found in a variable, in a file, or in what a command prints."""

    __slots__ = ("username",)

    def __init__(
        self,
        username: str,
        password: str | None = None,
        *,
        env: str | None = None,
        file: str | os.PathLike[str] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self.username = username
        self._shape = {"basic": {"username": username, "password": _secret(password, env, file, command)}}

    def __repr__(self) -> str:
        return f"Basic({self.username!r}, {_origin(self._shape['basic']['password'])})"


class Token(Credential):
    """A bearer token: given, or found in a variable, in a file, or in what a command prints."""

    __slots__ = ()

    def __init__(
        self,
        token: str | None = None,
        *,
        env: str | None = None,
        file: str | os.PathLike[str] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._shape = {"token": {"token": _secret(token, env, file, command)}}

    def __repr__(self) -> str:
        return f"Token({_origin(self._shape['token']['token'])})"


class DockerConfig(Credential):
    """What ``docker login`` left behind: the user's Docker configuration, or the one at ``path``."""

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = path
        self._shape = {"docker_config": {} if path is None else {"path": os.fspath(path)}}

    def __repr__(self) -> str:
        return f"DockerConfig({'' if self.path is None else repr(os.fspath(self.path))})"


def _secret(
    value: str | None,
    env: str | None,
    file: str | os.PathLike[str] | None,
    command: Sequence[str] | None,
) -> Any:
    if sum(given is not None for given in (value, env, file, command)) != 1:
        raise TypeError("give the secret itself, or exactly one of env=, file=, command=")
    if env is not None:
        return {"env": env}
    if file is not None:
        return {"file": os.fspath(file)}
    if command is not None:
        if isinstance(command, str):
            raise TypeError("command= is a list of words")
        return {"command": list(command)}
    return value


def _origin(secret: Any) -> str:
    """Where a secret comes from, without the secret: what a command's words hold may be one as well."""
    if not isinstance(secret, dict):
        return "***"
    if "command" in secret:
        return "command=[...]"
    ((name, value),) = secret.items()
    return f"{name}={value!r}"
