"""Lower bounds on robustness, to stand beside what attacks find: ``certify`` proves, ``smoothed`` proves by vote."""

from saddlepoint.certificates.certify import METHODS, Certificate, certify, why_not
from saddlepoint.certificates.error import CertificateError
from saddlepoint.certificates.smoothing import Smoothed, clopper_pearson, smoothed

__all__ = [
    "METHODS",
    "Certificate",
    "CertificateError",
    "Smoothed",
    "certify",
    "clopper_pearson",
    "smoothed",
    "why_not",
]
