"""Credentials: who asks a registry. No ``repr`` shows a secret."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Union


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


class _Account(Credential):
    __slots__ = ("username",)

    _word = ""

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
        self._shape = {self._word: {"username": username, "password": _secret(password, env, file, command)}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.username!r}, {_origin(self._shape[self._word]['password'])})"


class Basic(_Account):
    """A user name and a password: given, or found in a variable, in a file, or in what a command prints."""

    __slots__ = ()

    _word = "basic"


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


class DockerHub(_Account):
    """An account of Docker Hub with its password or, better, an access token."""

    __slots__ = ()

    _word = "dockerhub"


#: A secret: itself, or ``{"env": NAME}``, ``{"file": PATH}``, ``{"command": [...]}``.
Secret = Union[str, dict[str, Any]]


class Aws(Credential):
    """An identity of AWS. Without arguments: the chain that AWS's own programs use (environment, files, container, instance)."""

    __slots__ = ()

    def __init__(
        self,
        *,
        profile: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: Secret | None = None,
        session_token: Secret | None = None,
        role_arn: str | None = None,
        external_id: str | None = None,
        role_session_name: str | None = None,
        web_identity_token_file: str | os.PathLike[str] | None = None,
        sts_endpoint: str | None = None,
    ) -> None:
        self._shape = {
            "aws": _fields(
                profile=profile,
                access_key_id=access_key_id,
                secret_access_key=secret_access_key,
                session_token=session_token,
                role_arn=role_arn,
                external_id=external_id,
                role_session_name=role_session_name,
                web_identity_token_file=None if web_identity_token_file is None else os.fspath(web_identity_token_file),
                sts_endpoint=sts_endpoint,
            )
        }


class Azure(Credential):
    """An identity of Azure: an application (service principal) with its secret, a managed identity, or a user of the registry."""

    __slots__ = ()

    def __init__(
        self,
        *,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: Secret | None = None,
        client_certificate: str | os.PathLike[str] | None = None,
        federated_token_file: str | os.PathLike[str] | None = None,
        managed_identity: bool | None = None,
        username: str | None = None,
        password: Secret | None = None,
        access_token: Secret | None = None,
        refresh_token: Secret | None = None,
        authority: str | None = None,
        audience: str | None = None,
    ) -> None:
        self._shape = {
            "azure": _fields(
                tenant_id=tenant_id,
                client_id=client_id,
                client_secret=client_secret,
                client_certificate=None if client_certificate is None else os.fspath(client_certificate),
                federated_token_file=None if federated_token_file is None else os.fspath(federated_token_file),
                managed_identity=managed_identity,
                username=username,
                password=password,
                access_token=access_token,
                refresh_token=refresh_token,
                authority=authority,
                audience=audience,
            )
        }


class Quay(Credential):
    """A robot or an account of Quay, and beside it the OAuth ``token`` that opens its API; without that there are no push dates."""

    __slots__ = ("username",)

    def __init__(self, username: str, password: Secret, token: Secret | None = None) -> None:
        self.username = username
        self._shape = {"quay": _fields(username=username, password=password, token=token)}

    def __repr__(self) -> str:
        return f"Quay({self.username!r}, {_origin(self._shape['quay']['password'])})"


class _Google(Credential):
    __slots__ = ()

    _word = ""

    def __init__(
        self,
        *,
        service_account: Secret | None = None,
        access_token: Secret | None = None,
        metadata: bool | None = None,
    ) -> None:
        self._shape = {
            self._word: _fields(service_account=service_account, access_token=access_token, metadata=metadata)
        }


class Gcr(_Google):
    """An identity of Google for gcr.io: the key of a service account, an access token, or the metadata server."""

    __slots__ = ()

    _word = "gcr"


class Gar(_Google):
    """An identity of Google for Artifact Registry: the key of a service account, an access token, or the metadata server."""

    __slots__ = ()

    _word = "gar"


class DockerConfig(Credential):
    """What ``docker login`` left behind: the user's Docker configuration, or the one at ``path``, a file or its folder."""

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


def _fields(**fields: Any) -> dict[str, Any]:
    """The fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}


def _origin(secret: Any) -> str:
    """Where a secret comes from, without the secret: what a command's words hold may be one as well."""
    if not isinstance(secret, dict):
        return "***"
    if "command" in secret:
        return "command=[...]"
    ((name, value),) = secret.items()
    return f"{name}={value!r}"
