"""Audits: many attacks on many samples, stored as they go, resumed, and verified again."""

from saddlepoint.auditing.audited import Audit
from saddlepoint.auditing.call import audit
from saddlepoint.auditing.compare import Comparison, compare
from saddlepoint.auditing.crossing import Crossing, TransferTable, transfer
from saddlepoint.auditing.entry import parse
from saddlepoint.auditing.listener import Listener, Silent
from saddlepoint.auditing.run import DEFAULT, read_example, read_records, read_spec
from saddlepoint.auditing.summary import (
    ClassShare,
    CurvePoint,
    Doubt,
    Estimate,
    Example,
    Landscape,
    StageSummary,
    Summary,
    ThreatSummary,
)
from saddlepoint.auditing.tally import summarize
from saddlepoint.auditing.verify import Verification

__all__ = [
    "DEFAULT",
    "Audit",
    "ClassShare",
    "Comparison",
    "Crossing",
    "CurvePoint",
    "Doubt",
    "Estimate",
    "Example",
    "Landscape",
    "Listener",
    "Silent",
    "StageSummary",
    "Summary",
    "ThreatSummary",
    "TransferTable",
    "Verification",
    "audit",
    "compare",
    "parse",
    "read_example",
    "read_records",
    "read_spec",
    "summarize",
    "transfer",
]
