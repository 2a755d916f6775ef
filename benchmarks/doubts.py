"""What the probes see of healthy and of sick networks, what an audit leaves of the sick, and what doubts cost in it.

python benchmarks/doubts.py probes
python benchmarks/doubts.py adapt --n 100
python benchmarks/doubts.py cost --n 1000
python benchmarks/doubts.py transfer --n 40
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from measure import provenance
from torch import nn

import saddlepoint as sp
from saddlepoint.attacks.substitute import learn_substitute
from saddlepoint.auditing import read_spec
from saddlepoint.auditing.diagnosis import Diagnosis, diagnose
from saddlepoint.auditing.subject import prepare
from saddlepoint.testing.menagerie import DISEASES

PROBES = (
    "| network | threat | random: gap | no slope | left after repair | slopes tell | alike | scores flat"
    " | softmax exactly 1 | optimizes |"
)
ADAPT = "| network, linf:0.1 | after PGD-40 | after the audit | bare network | verdict | passes an image |"
COST = "| network, threat | verdict | passes an image, all | for doubts | share | seconds, all | for doubts |"
TRANSFER = "| fashion-standard, linf:0.02 | left by triage and square | broken by transfer | time for learning |"
MISLEADING = ("quantized", "compressed", "one-hot", "winners", "loop", "purified", "turned")
AUDITED = (("fashion-pgd-linf", sp.Linf(0.1)), ("fashion-fgsm", sp.Linf(0.1)), ("fashion-pgd-l2", sp.L2(1.5)))
DOUBTING = ("-sentinels", "-doubted", "-flat", "-sampled", "-sampled-2")
HEALTHY = ("fashion-standard", "fashion-fgsm", "fashion-pgd-linf", "fashion-pgd-l2", "fashion-smooth")
THREATS = (sp.Linf(0.02), sp.Linf(0.1), sp.L2(1.5), sp.L1(10.0))


def seen(network: nn.Module, threat: sp.Linf | sp.L2 | sp.L1) -> Diagnosis:
    data = sp.zoo.data.load("fashion-mnist-1k")
    subject = prepare(network, None, None, data, batch_size=None, seed=0, name=None, source="")
    return diagnose(subject, threat, 0)


def probes() -> Iterator[str]:
    yield PROBES
    yield "|---|---|---|---|---|---|---|---|---|---|"
    cases = [(name, sp.zoo.load(name), threat) for name in (*HEALTHY, "fashion-masked") for threat in THREATS]
    cases += [
        (f"{name} on {base}", make(sp.zoo.load(base)).eval(), sp.Linf(0.1))
        for name, make in DISEASES.items()
        for base in ("fashion-pgd-linf", "fashion-standard")
    ]
    for name, network, threat in cases:
        one = seen(network, threat)
        assert one.slopes is not None
        assert one.repaired is not None
        cells = (
            f"{one.answers.gap:.1e}",
            f"{one.slopes.useless} of {one.slopes.samples}",
            str(one.repaired.useless),
            f"{one.slopes.told:.3f}",
            f"{one.slopes.alike:.2f}",
            str(one.slopes.flat),
            f"{one.answers.certain} of {one.answers.samples}",
            "yes" if one.answers.optimizes else "no",
        )
        yield f"| {name} | {threat} | {' | '.join(cells)} |"


def adapt(n: int, names: tuple[str, ...] = ()) -> Iterator[str]:
    """What plain PGD leaves of networks behind bad defenses, and what a standard audit does, which adapts by itself."""
    yield ADAPT
    yield "|---|---|---|---|---|---|"
    data, threat = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.Linf(0.1)
    for base in ("fashion-standard", "fashion-pgd-linf"):
        bare = sp.audit(sp.zoo.load(base), data=data, threat=threat, curve=None).robust_accuracy
        for name, make in DISEASES.items():
            if names and name not in names:
                continue
            sick = make(sp.zoo.load(base)).eval()
            plain = sp.attacks.pgd(sick, data.x, data.y, threat, steps=40)
            done = sp.audit(sick, data=data, threat=threat, curve=None)
            passes = sum(s.forwards + s.backwards for one in done.summary().threats for s in one.stages) / n
            left = f"{1 - plain.success_rate:.0%} | {done.robust_accuracy:.0%} | {bare:.0%}"
            yield f"| {name} on {base} | {left} | {done.verdict} | {passes:.0f} |"


def transfer(n: int) -> Iterator[str]:
    """Whether what is crafted on a stand-in learned from the model's labels breaks what an audit leaves."""
    yield TRANSFER
    yield "|---|---|---|---|"
    data, seeds = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.data.load("fashion-mnist-1k[500:]").x
    for name in MISLEADING:
        sick, started = DISEASES[name](sp.zoo.load("fashion-standard")).eval(), time.perf_counter()
        stand_in = learn_substitute(sp.wrap(sick), seeds, budget=1000, rounds=2).model
        learned, attacks = time.perf_counter() - started, ["triage", "square(steps=1000)"]
        done = sp.audit(sick, data=data, threat=sp.Linf(0.02), attacks=attacks, curve=None, surrogate=stand_in)
        last = done.summary().threats[0].stages[-1]
        assert last.attack == "transfer"
        share = learned / (time.perf_counter() - started)
        yield f"| {name} | {last.ran_on} | {last.broke} | {share:.0%} |"


def cost(n: int) -> Iterator[str]:
    yield COST
    yield "|---|---|---|---|---|---|---|"
    for name, threat in AUDITED:
        done = sp.audit(sp.zoo.load(name), data=sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), threat=threat)
        summary, probed = done.summary(), Diagnosis.from_dict(read_spec(done.run_dir)["diagnosis"])
        stages = [stage for one in summary.threats for stage in one.stages]
        doubting = [stage for stage in stages if stage.name.endswith(DOUBTING)]
        passes, extra = (sum(s.forwards + s.backwards for s in some) for some in (stages, doubting))
        seconds, more = summary.seconds, sum(s.seconds for s in doubting) + probed.seconds
        extra += probed.forwards
        total = passes + probed.forwards
        cells = f"{total / n:.0f} | {extra / n:.1f} | {extra / total:.1%} | {seconds + probed.seconds:.0f} | {more:.0f}"
        yield f"| {name}, {threat} | {done.verdict} | {cells} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("probes", "adapt", "cost", "transfer"))
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--names", nargs="+", choices=list(DISEASES), default=(), help="of adapt: these diseases alone")
    asked = parser.parse_args()
    for line in {
        "probes": lambda n: probes(),
        "adapt": lambda n: adapt(n, tuple(asked.names)),
        "cost": cost,
        "transfer": transfer,
    }[asked.what](asked.n):
        print(line, flush=True)
    print(f"\n{provenance(32 if asked.what == 'probes' else asked.n)}")
