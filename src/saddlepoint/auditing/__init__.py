"""Audits: many attacks on many samples, stored as they go, resumed, and verified again."""

from saddlepoint.auditing.summary import CurvePoint, Estimate, Example, StageSummary, Summary, ThreatSummary

__all__ = ["CurvePoint", "Estimate", "Example", "StageSummary", "Summary", "ThreatSummary"]
