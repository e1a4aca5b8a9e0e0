from __future__ import annotations

import pytest

from dbxdec.support.addresses import has_credentials, secretive


@pytest.mark.parametrize(
    "url",
    [
        "https://user:password@h.example/simple",
        "https://token@h.example/simple",
        "https://h.example/x.whl?sv=1&sig=abc",
        "https://h.example/x.whl?X-Amz-Signature=1",
        "https://h.example/x.whl?api_key=1",
        "https://h.example/x.whl?access_token=1",
        "git+https://user:password@h.example/r.git",
    ],
)
def test_a_password_or_a_token_in_an_address_is_seen(url: str) -> None:
    assert has_credentials(url)
    said = secretive(f"q @ {url}")
    assert said is not None
    assert not any(word in said for word in ("password", "token", "abc", "=1"))


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/simple",
        "https://h.example/x.whl?keyword=a&design=b&monkey=c",
        "https://h.example/x.whl#sha256=0a",
        "git+ssh://git@h.example/r.git",
        "https://${var.user}:${var.password}@h.example/simple",
    ],
)
def test_other_addresses_are_fine(url: str) -> None:
    """A reference of the bundle puts a secret in its place later."""
    assert secretive(f"q @ {url}") is None
