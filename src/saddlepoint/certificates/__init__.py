"""Lower bounds on robustness, to stand beside what attacks find: ``certify`` proves, ``smoothed`` proves by vote."""

from saddlepoint.certificates.certify import METHODS, Certificate, certify, why_not
from saddlepoint.certificates.error import CertificateError

__all__ = ["METHODS", "Certificate", "CertificateError", "certify", "why_not"]
