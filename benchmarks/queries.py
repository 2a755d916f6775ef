"""Success over questions of the attacks that know scores only.

python benchmarks/queries.py run --n 300 --most 2000   # writes queries.json, row by row
python benchmarks/queries.py run --n 300 --most 10000 --attacks auto square sign_hunter parsimonious
python benchmarks/queries.py run --n 150 --networks fashion-pgd-l2 fashion-pgd-linf
python benchmarks/queries.py run --n 100 --networks fashion-masked
python benchmarks/queries.py run --real --n 20 --most 10000 --attacks auto square sign_hunter parsimonious
python benchmarks/queries.py run --real --n 20 --most 500 --attacks square
python benchmarks/queries.py table
python benchmarks/queries.py picture                  # docs/images/queries.svg

One run with the most questions gives the whole curve: no attack here looks at how many it has left but square, whose
windows shrink over the questions it is told of. So a longer run takes the place of a shorter one, but for square. Asked
are the images of which ``triage`` finds a blind spot, with slopes, among those from number ``--first`` on: attacks were
chosen on numbers 60 to 299. Of fashion-masked, whose slopes lead nowhere, all are asked that it has right.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import torch
from measure import provenance
from torch import Tensor

import saddlepoint as sp
from saddlepoint.sets import parse

TABLE = Path(__file__).with_suffix(".json")
PICTURE = Path(__file__).parents[1] / "docs/images/queries.svg"
Settings = Sequence[tuple[str, str]]
SETTINGS: Settings = (
    ("fashion-standard", "linf:0.05"), ("fashion-standard", "l2:1.0"), ("fashion-fgsm", "linf:0.1"),
    ("fashion-pgd-l2", "l2:1.5"), ("fashion-pgd-linf", "linf:0.15"), ("fashion-masked", "linf:0.05"),
)  # fmt: skip
MASKED = "fashion-masked"
ATTACKS = {
    "auto": "auto(steps={})", "square": "square(steps={})", "sign_hunter": "sign_hunter(steps={})",
    "parsimonious": "parsimonious(steps={})", "bandits": "bandits(steps={})", "nattack": "nattack(steps={})",
    "nes": "nes(pairs=10,steps={})", "zo_adamm": "zo_adamm(samples=20,tile=2,steps={})",
    "rgf": "rgf(samples=20,tile=2,steps={})", "zo_ngd": "zo_ngd(pairs=10,tile=2,steps={})",
    "zo_admm": "zo_admm(samples=20,tile=2,steps={})", "zo_frank_wolfe": "zo_frank_wolfe(pairs=10,tile=2,steps={})",
    "zo_svrg": "zo_svrg(samples=20,every=3,tile=2,steps={})",
    "acc_szofw": "acc_szofw(relative_step=0.2,samples=20,every=3,tile=2,steps={})",
    "acc_szofw_star": "acc_szofw_star(relative_step=0.2,tile=2,steps={})",
}  # fmt: skip
PICTURED = 9
"""So many of the attacks are in the picture: those that follow lie among the last of them."""
BUDGETS = (30, 100, 200, 500, 1000, 2000, 5000, 10_000)
TOLD = 1000
"""The share that fell within so many questions, or all there were, is told with its interval."""
MEAN_OF = 2000
"""So many questions are counted for the mean where an attack takes more, or fails."""
REAL = ("EfficientNet-Lite0", "linf:4/255")
COLORS = ("#c0392b", "#2c3e50", "#2980b9", "#27ae60", "#8e44ad", "#e67e22", "#7f8c8d", "#16a085", "#d4ac0d")


def subject(name: str, n: int, first: int) -> tuple[sp.Model, Tensor, Tensor]:
    """A network, n images and their labels; EfficientNet-Lite0 with pictures of foolbox, see examples/real.py."""
    if name != REAL[0]:
        data = sp.zoo.data.load(f"fashion-mnist-1k[{first}:{first + n}]")
        return sp.wrap(sp.zoo.load(name)), data.x, data.y
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    import real

    x, y = real.imagenet()
    return real.classifier(), x[:n], y[:n]


def asked(model: sp.Model, x: Tensor, y: Tensor, threat: str, attack: str, most: int) -> dict[str, object]:
    """How many questions each image took (none: it stood), and CPU seconds."""
    entry = sp.auditing.parse(ATTACKS[attack].format(most))
    began = time.process_time()
    found = sp.attacks.get(entry.name)(model, x, y, parse(threat), budget=most, **entry.options)
    took = [int(q) if met else None for q, met in zip(found.forwards, found.met, strict=True)]
    return {"took": took, "seconds": round(time.process_time() - began, 1)}


def run(n: int, most: int, attacks: list[str], settings: Settings, first: int = 300) -> None:
    """Every attack on every network, the rows written as they come."""
    torch.set_num_threads(1)
    rows = json.loads(TABLE.read_text())["rows"] if TABLE.exists() else []
    for name, threat in settings:
        model, x, y = subject(name, n, first)
        seen = sp.attacks.triage(model, x, y, parse(threat))
        open_ones = (seen.met | (name == MASKED)) & (seen.status != sp.Status.CLEAN)
        for attack in attacks:
            entry, kind = sp.auditing.parse(ATTACKS[attack].format(most)), type(parse(threat))
            row = {"network": name, "threat": threat, "attack": attack, "most": most, "said": provenance(n)}
            if any(_tells(old, row) for old in rows) or kind not in sp.attacks.get(entry.name).sets:
                continue
            rows = [old for old in rows if not _tells(row, old)]
            rows.append(row | asked(model, x[open_ones], y[open_ones], threat, attack, most))
            TABLE.write_text(json.dumps({"rows": rows}) + "\n")
            print(name, threat, attack, shares(rows[-1]), rows[-1]["seconds"], flush=True)


def _tells(one: dict, other: dict) -> bool:  # type: ignore[type-arg]
    """Whether the curve of the other row is the beginning of this one's."""
    same = all(one[key] == other[key] for key in ("network", "threat", "attack"))
    return same and (one["most"] == other["most"] or (one["attack"] != "square" and one["most"] > other["most"]))


def shares(row: dict) -> list[float]:  # type: ignore[type-arg]
    """Percent of the images that fell within each budget."""
    took = row["took"]
    return [100 * sum(q is not None and q <= b for q in took) / len(took) for b in BUDGETS if b <= row["most"]]


def table() -> None:
    """The shares, the mean and the median of all images."""
    rows = json.loads(TABLE.read_text())["rows"]
    budgets = [b for b in BUDGETS if b <= max(row["most"] for row in rows)]
    print("| network | threat | n | attack | " + " | ".join(map(str, budgets)) + " | mean of the first 2000 | median |")
    print("|---" * (len(budgets) + 6) + "|")
    for row in sorted(rows, key=_place):
        counts = sorted(row["most"] if q is None else q for q in row["took"])
        middle, least = counts[(len(counts) - 1) // 2], [min(q, MEAN_OF) for q in counts]
        cells = [f"{share:.0f}" for share in shares(row)] + [""] * (len(budgets) - len(shares(row)))
        told = max(b for b in budgets if b <= min(TOLD, row["most"]))
        cells[budgets.index(told)] += _interval(row, told)
        ends = [_mean(least), f"> {row['most']}" if middle == row["most"] else str(middle)]
        head = [row["network"], row["threat"], str(len(counts)), _named(row["attack"], row["most"])]
        print("| " + " | ".join([*head, *cells, *ends]) + " |")
    print("\n" + "\n".join(sorted({row["said"] for row in rows})) + "\n")
    together(rows)


def together(rows: list[dict]) -> None:  # type: ignore[type-arg]
    """All networks of a ball as one: the shares, and how many images fell to each attack alone, and to auto alone.

    In Linf first those of the zoo, then, of the attacks that were run on it, EfficientNet-Lite0 among them. Last, by
    how many images auto leads at least, over every number of questions from 100 to the most the attack was asked with.
    """
    budgets = [b for b in BUDGETS if b >= 100]
    print("| all in | n | attack | " + " | ".join(map(str, budgets)) + " | least lead of auto |")
    print("|---" * (len(budgets) + 4) + "|")
    took = {(row["attack"], row["most"], row["network"], row["threat"]): row["took"] for row in rows}
    zoo = {ball: [one for one in SETTINGS if one[1].startswith(f"{ball}:")] for ball in ("linf", "l2")}
    for ball, settings in {**zoo, f"linf, and {REAL[0]}": [*zoo["linf"], REAL]}.items():
        for attack, most in ((attack, most) for attack in ATTACKS for most in (2000, 10_000)):
            if not all((attack, most, *setting) in took for setting in settings):
                continue
            own = [q for setting in settings for q in took[attack, most, *setting]]
            usual = [q for setting in settings for q in took["auto", 10_000, *setting]]
            cells = [_beside(own, usual, b) if b <= most else "" for b in budgets]
            lead = str(_least_lead(own, usual, budgets[0], most))
            if attack == "auto":
                cells, lead = [cell.split()[0] for cell in cells], ""
            print("| " + " | ".join([ball, str(len(own)), _named(attack, most), *cells, lead]) + " |")


def _least_lead(own: list[int | None], usual: list[int | None], least: int, most: int) -> int:
    """How many more images fell to the other one than to this one, at the number of questions where that is least."""
    leads = Counter(q for q in usual if q is not None)
    leads.subtract(q for q in own if q is not None)
    sums = accumulate(leads[q] for q in range(most + 1))
    return min(lead for q, lead in enumerate(sums) if q >= least)


def _named(attack: str, most: int) -> str:
    """The attack; of square, whose windows depend on it, with how many questions it was told of."""
    return f"square, told of {most}" if attack == "square" else attack


def _beside(own: list[int | None], usual: list[int | None], budget: int) -> str:
    """Percent of the images, and how many fell to this one alone, and to the other alone."""
    fell, other = ([q is not None and q <= budget for q in took] for took in (own, usual))
    alone = sum(a and not b for a, b in zip(fell, other, strict=True))
    missed = sum(b and not a for a, b in zip(fell, other, strict=True))
    return f"{100 * sum(fell) / len(fell):.1f} (+{alone} -{missed})"


def _interval(row: dict, told: int) -> str:  # type: ignore[type-arg]
    """The exact 95 % interval of the share that fell within so many questions."""
    fell = sum(q is not None and q <= told for q in row["took"])
    one = sp.auditing.Estimate.of(fell, len(row["took"]))
    return f" [{100 * one.low:.0f}, {100 * one.high:.0f}]"


def _mean(values: list[int]) -> str:
    """The mean, and 1.96 of its standard errors."""
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.0f} ± {1.96 * error:.0f}"


def _place(row: dict) -> tuple[int, int, int]:  # type: ignore[type-arg]
    """Networks in the order of SETTINGS, attacks in that of ATTACKS."""
    return (*SETTINGS, REAL).index((row["network"], row["threat"])), list(ATTACKS).index(row["attack"]), row["most"]


def picture() -> None:
    """Success over questions, one panel for each network and threat, as an SVG."""
    drawn = list(ATTACKS)[:PICTURED]
    rows = sorted((row for row in json.loads(TABLE.read_text())["rows"] if row["attack"] in drawn), key=_place)
    settings = list(dict.fromkeys((row["network"], row["threat"]) for row in rows))
    wide, high, gap, across = 300, 180, 50, 2
    down = -(-len(settings) // across)
    out = []
    for number, setting in enumerate(settings):
        left, top = gap + number % across * (wide + gap), 30 + number // across * (high + gap)
        out.append(f'<text x="{left}" y="{top - 8}">{setting[0]}, {setting[1]}</text>')
        out.append(f'<rect x="{left}" y="{top}" width="{wide}" height="{high}" fill="none" stroke="#999"/>')
        mine = {row["attack"]: row for row in rows if (row["network"], row["threat"]) == setting}  # the longest last
        most = max(row["most"] for row in mine.values())
        for row in mine.values():
            out.append(_curve(row, most, left, top, wide, high))
        for b in (b for b in (10, 100, 1000, 10_000) if b <= most):
            x = left + wide * _along(b, most)
            out.append(f'<text x="{x:.0f}" y="{top + high + 14}" text-anchor="middle" fill="#666">{b}</text>')
        for share in (0, 50, 100):
            out.append(
                f'<text x="{left - 4}" y="{top + high * (1 - share / 100) + 4:.0f}" text-anchor="end"'
                f' fill="#666">{share} %</text>'
            )
    names = list(dict.fromkeys(row["attack"] for row in rows))
    bottom = 30 + down * (high + gap)
    for k, name in enumerate(names):
        x = gap + k * (across * (wide + gap) - gap) / len(names)
        out.append(f'<text x="{x:.0f}" y="{bottom}" fill="{_color(name)}">{name}</text>')
    size = f'width="{across * (wide + gap) + gap // 2}" height="{bottom + 12}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    PICTURE.write_text("\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *out, "</svg>"]) + "\n")


def _curve(row: dict, most: int, left: int, top: int, wide: int, high: int) -> str:  # type: ignore[type-arg]
    took = sorted(q for q in row["took"] if q is not None)
    points, y = [(0.0, 0.0)], 0.0
    for q in took:
        x = max(_along(q, most), 0.0)
        points += [(x, y), (x, y := y + 1 / len(row["took"]))]
    points.append((_along(row["most"], most), y))
    path = " ".join(f"{left + wide * x:.1f},{top + high * (1 - y):.1f}" for x, y in points)
    thick = 2.5 if row["attack"] == "auto" else 1.2
    return f'<polyline points="{path}" fill="none" stroke="{_color(row["attack"])}" stroke-width="{thick}"/>'


def _along(questions: int, most: int) -> float:
    """Where on a logarithmic axis from 3 to the most questions: 0 to 1."""
    return float(torch.tensor(questions / 3).log() / torch.tensor(most / 3).log())


def _color(attack: str) -> str:
    return COLORS[list(ATTACKS).index(attack)]


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "table", "picture"])
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--most", type=int, default=10_000)
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    names = list(dict.fromkeys(name for name, _ in SETTINGS))
    parser.add_argument("--networks", nargs="+", choices=names, default=names)
    parser.add_argument("--real", action="store_true", help="EfficientNet-Lite0 instead of the networks of the zoo")
    parser.add_argument("--first", type=int, default=300, help="number of the first image")
    wanted = parser.parse_args()
    if wanted.command == "run":
        settings = [REAL] if wanted.real else [one for one in SETTINGS if one[0] in wanted.networks]
        run(wanted.n, wanted.most, wanted.attacks, settings, wanted.first)
    else:
        {"table": table, "picture": picture}[wanted.command]()


if __name__ == "__main__":
    main()
