"""Take SHA-256 and SHA-1 without OpenSSL, which takes a third of the time of bare Python to load.

Every start of a run takes such digests of short texts. Python's own code is the faster one for these. For long
content OpenSSL is several times as fast, so :func:`sha256_of` loads it there.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hashlib import HASH
    from hashlib import sha1 as sha1
    from hashlib import sha256 as sha256
else:
    # As `random` of the standard library does. A Python may be built without these.
    try:
        from _sha1 import sha1
    except ImportError:
        from hashlib import sha1 as sha1
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256  # Python 3.11
        except ImportError:
            from hashlib import sha256

LONG_BYTES = 256 * 1024  # from here on, loading OpenSSL pays; without it, Python takes a millisecond


def sha256_of(content: bytes | bytearray | memoryview) -> HASH:
    """Return the SHA-256 of content of any length."""
    if len(content) < LONG_BYTES and "hashlib" not in sys.modules:
        return sha256(content)
    import hashlib

    return hashlib.sha256(content)
