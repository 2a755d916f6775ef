from __future__ import annotations

import dataclasses as dc

import pytest

from saddlepoint.report import markdown
from saddlepoint.report.markdown import escaped, fenced

GOLDEN = """\
# net on things: robustness audit

**32.2 % of 400 samples withstand Linf 0.1 and L2 1.5.** Unperturbed, 371 of 400 are classified rightly; 137 under \
Linf 0.1, 152 under L2 1.5, and 129 under all of them.

> fab was left out

Verdict: **flagged**. Something speaks against these numbers: the true robust accuracy may well be lower. Automatic, \
non-adaptive checks are necessary and not sufficient: an attack that is adapted to this model may still break more.

## Robust accuracy

| threat | accuracy | right | 95 % interval | risk | proven |
| :-- | --: | --: | --: | --: | --: |
| clean (natural) | 92.8 % | 371 of 400 | 89.8 to 95.1 % | 7.3 % |  |
| Linf 0.1 | 34.2 % | 137 of 400 | 29.6 to 39.1 % | 65.8 % | 41 |
| L2 1.5 | 38.0 % | 152 of 400 | 33.2 to 43.0 % | 62.0 % |  |
| all threats | 32.2 % | 129 of 400 | 27.7 to 37.1 % | 67.8 % |  |

Linf 0.1: between 10.2 % (41 of 400 are proven to withstand) and 34.2 % (137 are not broken); 96 stay undecided.

## Over the radius

The share that is not known to fall at so many times the radius of each threat.

| threat | 0.25 × | 0.5 × | 0.75 × | 1 × | 1.5 × | 2 × | half fall at |
| :-- | --: | --: | --: | --: | --: | --: | --: |
| Linf 0.1 | 92.8 % | 65.0 % | 65.0 % | 34.2 % | 34.2 % | 34.2 % | 0.1 |
| L2 1.5 | 92.8 % | 92.8 % | 92.8 % | 38.0 % |  |  | 1.5 |

## Classes

| threat | class | samples | clean | withstand | most often taken for |
| :-- | :-- | --: | --: | --: | --: |
| Linf 0.1 | cat | 190 | 93.2 % | 35.8 % | dog |
| Linf 0.1 | dog | 210 | 92.4 % | 32.9 % | cat |
| L2 1.5 | cat | 190 | 93.2 % | 42.6 % | dog |
| L2 1.5 | dog | 210 | 92.4 % | 33.8 % |  |

## Doubts

- **flag: Slopes are zero.** Found: 31 of 32 slopes are exactly zero. What to do: Name the module.
- **note: Few samples (Linf 0.1).** Found: 400 samples. What to do: Take more.

## Attacks

| threat | attack | options | ran on | broke | forwards a sample | backwards a sample | passes of a success | median size | time |
| :-- | :-- | :-- | --: | --: | --: | --: | --: | --: | --: |
| Linf 0.1 | apgd\\_ce | steps=17, restarts=None | 371 | 203 | 23 | 19 | 31 | 0.0712 | 4 min 24 s |
| Linf 0.1 | square | steps=17, restarts=None | 168 | 22 | 23 | 19 | 31 | 0.0712 | 1 min 23 s |
| Linf 0.1 | fmn, any radius | steps=17, restarts=None | 370 | 9 | 23 | 19 | 31 | 0.0655 | 1 min 10 s |
| L2 1.5 | apgd\\_ce | steps=17, restarts=None | 371 | 219 | 23 | 19 | 31 | 0.0712 | 4 min 40 s |

Linf 0.1: Of 15 samples that are right unperturbed apgd\\_ce leaves 9; again with other draws it leaves 9, with \
steps=34 it leaves 8.

In all 29,440 forwards and 24,320 backwards, 6 min 52 s.

## How it was measured

This command gives the same numbers again:

```
saddlepoint audit pkg:build --data things --threat linf:0.1
```
"""  # noqa: E501


def test_the_appendix_of_a_paper(summary):
    text = markdown(summary)
    assert text.startswith(GOLDEN)
    assert f"\n- key: {summary.key}\n" in text
    assert "\n- torch: 2.13.0\n" in text


def test_where_nothing_is_known_of_other_radii_or_classes_nothing_is_said(summary):
    bare = tuple(dc.replace(threat, curve=(), classes=()) for threat in summary.threats)
    text = markdown(dc.replace(summary, threats=bare))
    assert "## Over the radius" not in text
    assert "## Classes" not in text


def test_without_doubts_and_command_there_is_no_section_for_them(summary):
    text = markdown(dc.replace(summary, doubts=(), command=None, notices=()))
    assert "## Doubts" not in text
    assert "This command" not in text
    assert "Verdict: **sound**." in text


def test_hostile_names_stay_text(hostile):
    text = markdown(hostile)
    before, fence, after = text.partition("```\n")
    assert fence
    outside = before + after.partition("\n```")[2]
    assert "<" not in outside
    assert "&lt;script&gt;" in outside


def cells(text):
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [row.replace("\\|", "").count("|") for row in rows]


def test_a_name_cannot_add_a_cell_or_a_line_to_a_table(summary):
    bad = "a | b\n| c | `d` \\| e\r\n# f"
    linf = summary.threats[0]
    stages = tuple(dc.replace(stage, name=f"01-{bad}", options={bad: bad}) for stage in linf.stages)
    data = {**summary.data, "classes": [bad, bad]}
    threats = (dc.replace(linf, set_name=bad, stages=stages),)
    text = markdown(dc.replace(summary, title=bad, data=data, threats=threats))
    assert sorted(set(cells(text))) == [7, 9, 11]
    assert len(cells(text)) == (2 + 2) + (2 + 1) + (2 + 2) + (2 + 3)
    assert sum(line.startswith("# ") for line in text.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*a* _b_ ~c~ $d$", r"\*a\* \_b\_ \~c\~ \$d\$"),
        ("[a](b)", r"\[a\](b)"),
        ("1. a", r"1\. a"),
        ("- a", r"\- a"),
        ("0.1", "0.1"),
        ("&amp;<b>", "&amp;amp;&lt;b&gt;"),
        ("see https://a.b", "see https:/&#47;a.b"),
        ("@all www.a.b", "&#64;all www&#46;a.b"),
        ("a\n\u2028\u202eb", "a b"),
        ("\\", "\\\\"),
    ],
)
def test_no_character_is_markup(text, shown):
    assert escaped(text) == shown


def test_no_line_of_a_command_ends_its_block():
    assert fenced("a\n```\nb").splitlines()[0] == "````"
    assert fenced("a\n```\nb").splitlines()[-1] == "````"
