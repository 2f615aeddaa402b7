"""Registries: where they are, how they are reached, who asks."""

from __future__ import annotations

import os
from typing import Any

from .credentials import Credential


class Registry:
    """A registry. Made by a function of its kind, such as :meth:`Registry.docker`."""

    __slots__ = ("_shape", "credential")

    #: The JSON object that every language has for it.
    _shape: dict[str, Any]

    def __init__(self, kind: str, credential: Credential | None = None, **fields: Any) -> None:
        self.credential = credential
        self._shape = {"kind": kind, **{name: value for name, value in fields.items() if value is not None}}
        if credential is not None:
            self._shape["credential"] = credential._shape

    @classmethod
    def docker(
        cls,
        url: str | None = None,
        *,
        credential: Credential | None = None,
        ca: str | os.PathLike[str] | None = None,
        client_cert: str | os.PathLike[str] | None = None,
        client_key: str | os.PathLike[str] | None = None,
        plain_http: bool = False,
        proxy: str | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,
    ) -> Registry:
        """Any registry that speaks the Docker V2 or OCI protocol, at ``url`` or where the image is.

        ``ca``, ``client_cert`` and ``client_key`` are PEM files. Without a credential the Docker configuration is asked.
        ``timeout`` is the seconds to wait for an answer.
        """
        return cls(
            "docker",
            credential,
            url=url,
            ca=None if ca is None else os.fspath(ca),
            client_cert=None if client_cert is None else os.fspath(client_cert),
            client_key=None if client_key is None else os.fspath(client_key),
            plain_http=plain_http or None,
            proxy=proxy,
            concurrency=concurrency,
            timeout=timeout,
        )

    def __repr__(self) -> str:
        shown = {name: value for name, value in self._shape.items() if name not in ("kind", "credential", "proxy")}
        if self.credential is not None:
            shown["credential"] = self.credential
        return f"Registry.{self._shape['kind']}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
