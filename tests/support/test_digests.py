"""The digest of a string."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from dbxdec.support import digests


@given(st.text())
def test_it_is_the_sha256_of_hashlib(text: str) -> None:
    assert digests.of_text(text) == hashlib.sha256(text.encode()).hexdigest()


def test_the_interpreter_without_its_own_sha256_has_that_of_hashlib() -> None:
    code = (
        "import sys; sys.modules['_sha2'] = sys.modules['_sha256'] = None\n"
        "from dbxdec.support import digests; print(digests.of_text('a'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == hashlib.sha256(b"a").hexdigest()
