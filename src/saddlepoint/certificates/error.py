"""What a certificate refuses to speak about."""

from __future__ import annotations

from saddlepoint.errors import SaddlepointError


class CertificateError(SaddlepointError, ValueError):
    """The network holds something no sound bound is known for; the message names it and the way out."""
