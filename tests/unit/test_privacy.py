"""The pads that stand for the key of the pseudonyms."""

import hashlib
import hmac

import pytest

from loglake.privacy import pads

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("key", [b"k", b"k" * 64, b"k" * 65], ids=["short", "one block", "longer than a block"])
def test_two_hashes_with_the_pads_are_the_hmac(key: bytes) -> None:
    inner, outer = pads(key)
    message = "ü@example.org".encode()
    found = hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).hexdigest()
    assert found == hmac.new(key, message, hashlib.sha256).hexdigest()
