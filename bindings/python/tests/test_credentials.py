"""Credentials keep their secrets."""

import pytest
import tidewaiter as tw


@pytest.mark.parametrize(
    ("credential", "shown"),
    [
        (tw.Anonymous(), "Anonymous()"),
        (tw.Basic("alice", "hunter2"), "Basic('alice', ***)"),
        (tw.Basic("alice", env="PASSWORD"), "Basic('alice', env='PASSWORD')"),
        (tw.Basic("alice", file="/run/secret"), "Basic('alice', file='/run/secret')"),
        (tw.Token("hunter2"), "Token(***)"),
        (tw.Token(command=["print-token", "hunter2"]), "Token(command=[...])"),
        (tw.DockerConfig(), "DockerConfig()"),
        (tw.DockerConfig("/etc/docker"), "DockerConfig('/etc/docker')"),
    ],
)
def test_repr_shows_no_secret(credential, shown):
    assert repr(credential) == shown
    registry = tw.Registry.docker("https://registry.example", credential=credential)
    assert repr(registry) == f"Registry.docker(url='https://registry.example', credential={shown})"


def test_a_secret_has_one_origin():
    for wrong in ({}, {"token": "a", "env": "B"}, {"command": "a string"}):
        with pytest.raises(TypeError):
            tw.Token(**wrong)


def test_what_is_wrong_is_said_without_the_secret(tmp_path):
    with tw.Scanner(advisories=tmp_path / "a.db", offline=True, cache=False) as scanner, pytest.raises(tw.Error) as raised:
        scanner.scan("registry.invalid/app", credential=tw.Basic("alice", ["hunter2"]))
    assert "hunter2" not in str(raised.value)


def test_a_password_in_an_address_is_not_shown() -> None:
    registry = tw.Registry.docker("https://alice:hunter2@registry.example", proxy="http://alice:hunter2@proxy.example")
    assert repr(registry) == "Registry.docker(url='registry.example')"
