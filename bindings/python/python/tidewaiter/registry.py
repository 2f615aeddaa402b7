"""Registries: where they are, how they are reached, who asks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from .credentials import Credential

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Network(TypedDict, total=False):
    """How a registry is reached, whatever its kind."""

    #: A PEM file with authorities to trust besides those of the platform.
    ca: str | os.PathLike[str]
    #: PEM files with the client certificate and its key.
    client_cert: str | os.PathLike[str]
    client_key: str | os.PathLike[str]
    #: Whether to speak http where the address does not say so.
    plain_http: bool
    proxy: str
    #: Whether a registry on the internet may lead to private addresses.
    private_addresses: bool
    #: Requests at once to one host; 8 unless it is set.
    concurrency: int
    #: Requests a second to one host, less than 1 too; as many as there are to ask unless it is set.
    rate: float
    #: Seconds to wait for a connection, for an answer, and between two pieces of one.
    timeout: float
    #: Seconds that one image may take; an hour in a job unless it is set.
    image_timeout: float


class Registry:
    """A registry. Made by a function of its kind, such as :meth:`Registry.docker`.

    Each takes a ``credential`` (default: the Docker configuration; for the clouds also their own chain) and the fields of
    :class:`Network`.
    """

    __slots__ = ("_shape", "credential")

    #: The JSON object that every language has for it, or the name of a definition.
    _shape: dict[str, Any] | str

    def __init__(self, kind: str | None, credential: Credential | None = None, **fields: Any) -> None:
        self.credential = credential
        shape: dict[str, Any] = {} if kind is None else {"kind": kind}
        for name, value in fields.items():
            if value is not None and value is not False:
                shape[name] = os.fspath(value) if isinstance(value, os.PathLike) else value
        if credential is not None:
            shape["credential"] = credential._shape
        self._shape = shape

    @classmethod
    def at(cls, url: str, *, credential: Credential | None = None, **network: Unpack[Network]) -> Registry:
        """The registry at ``url``, of the kind that its host leaves no doubt about, else of any that speaks Docker V2 or OCI."""
        return cls(None, credential, url=url, **network)

    @classmethod
    def docker(
        cls, url: str | None = None, *, credential: Credential | None = None, **network: Unpack[Network]
    ) -> Registry:
        """Any registry that speaks the Docker V2 or OCI protocol, at ``url`` or where the image is."""
        return cls("docker", credential, url=url, **network)

    @classmethod
    def dockerhub(
        cls,
        namespaces: Sequence[str] | None = None,
        *,
        credential: Credential | None = None,
        url: str | None = None,
        api_url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """Docker Hub; ``namespaces`` are the users and organisations to list."""
        names = None if namespaces is None else list(namespaces)
        return cls("dockerhub", credential, url=url, api_url=api_url, namespaces=names, **network)

    @classmethod
    def ecr(
        cls,
        region: str,
        account: str,
        *,
        fips: bool = False,
        dual_stack: bool = False,
        endpoint: str | None = None,
        credential: Credential | None = None,
        url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """AWS ECR of one account in one region; ``endpoint`` is another address of its API."""
        return cls(
            "ecr",
            credential,
            url=url,
            region=region,
            account=account,
            fips=fips,
            dual_stack=dual_stack,
            endpoint=endpoint,
            **network,
        )

    @classmethod
    def ecr_public(
        cls,
        alias: str | None = None,
        *,
        credential: Credential | None = None,
        url: str | None = None,
        api_url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """AWS ECR Public; ``alias`` is the one of the account's own registry."""
        return cls("ecr-public", credential, url=url, api_url=api_url, alias=alias, **network)

    @classmethod
    def acr(
        cls,
        name: str | None = None,
        *,
        cloud: str | None = None,
        credential: Credential | None = None,
        url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """Azure Container Registry, by its ``name`` or ``url``; ``cloud`` is ``public``, ``usgov`` or ``china``."""
        return cls("acr", credential, url=url, name=name, cloud=cloud, **network)

    @classmethod
    def gcr(
        cls,
        project: str,
        *,
        location: str | None = None,
        credential: Credential | None = None,
        url: str | None = None,
        api_url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """Google's gcr.io; ``location`` is ``us``, ``eu``, ``asia`` or none."""
        return cls("gcr", credential, url=url, api_url=api_url, project=project, location=location, **network)

    @classmethod
    def gar(
        cls,
        project: str,
        location: str,
        repository: str | None = None,
        *,
        credential: Credential | None = None,
        url: str | None = None,
        api_url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """Google Artifact Registry: one of its repositories, or all of a project in a location."""
        return cls(
            "gar",
            credential,
            url=url,
            api_url=api_url,
            project=project,
            location=location,
            repository=repository,
            **network,
        )

    @classmethod
    def ghcr(
        cls,
        owner: str,
        *,
        credential: Credential | None = None,
        url: str | None = None,
        api_url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """GitHub's registry; ``owner`` is the user or organisation to list."""
        return cls("ghcr", credential, url=url, api_url=api_url, owner=owner, **network)

    @classmethod
    def artifactory(
        cls,
        url: str,
        *,
        access: str | None = None,
        context: str | None = None,
        repository_key: str | None = None,
        credential: Credential | None = None,
        api_url: str | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """JFrog Artifactory; ``access`` is ``path``, ``subdomain`` or ``port``, as its administrator set it up."""
        return cls(
            "artifactory",
            credential,
            url=url,
            api_url=api_url,
            access=access,
            context=context,
            repository_key=repository_key,
            **network,
        )

    @classmethod
    def of_kind(
        cls,
        kind: str,
        url: str,
        *,
        api_url: str | None = None,
        projects: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        repository_key: str | None = None,
        credential: Credential | None = None,
        **network: Unpack[Network],
    ) -> Registry:
        """A registry of the kinds that have an address of their own: ``harbor``, ``msr``, ``quay``, ``openshift``, ``nexus``, ``gitea``,
        ``gitlab``, ``zot``.

        ``api_url`` is the address of its own API, where it differs. What is listed can be narrowed to ``projects`` (Harbor, MSR,
        OpenShift), ``namespaces`` (Quay), ``groups`` (GitLab), or the repository ``repository_key`` (Nexus).
        """
        lists = {"projects": projects, "namespaces": namespaces, "groups": groups}
        narrowed = {name: None if names is None else list(names) for name, names in lists.items()}
        return cls(kind, credential, url=url, api_url=api_url, repository_key=repository_key, **narrowed, **network)

    @classmethod
    def named(cls, name: str) -> Registry:
        """The registry of this name in the file that the scanner was opened with (``Scanner(registries=FILE)``), or in its store."""
        registry = cls("named")
        registry._shape = name
        return registry

    def __repr__(self) -> str:
        if isinstance(self._shape, str):
            return f"Registry.named({self._shape!r})"
        hidden = ("kind", "credential", "proxy")
        shown = {name: _without_user(value) for name, value in self._shape.items() if name not in hidden}
        if self.credential is not None:
            shown["credential"] = self.credential
        return f"Registry.{self._shape.get('kind', 'at')}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _without_user(value: Any) -> Any:
    """What may be shown of a value: of an address not what stands before an ``@``, which is refused when it is used."""
    return value.rpartition("@")[2] if isinstance(value, str) else value
