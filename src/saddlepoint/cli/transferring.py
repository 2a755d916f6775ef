"""``saddlepoint transfer``: attacks crafted on each model, tried on all."""

from __future__ import annotations

import dataclasses as dc
from pathlib import Path

from saddlepoint.auditing import atomic, transfer
from saddlepoint.auditing.crossing import ATTACKS, TransferTable
from saddlepoint.auditing.rules import NONE
from saddlepoint.cli.options import WorkOptions
from saddlepoint.cli.progress import progress
from saddlepoint.cli.setup import prepare_several, short_name
from saddlepoint.cli.tables import show, table
from saddlepoint.cli.values import check_ending, split_attacks, threat_of
from saddlepoint.errors import OptionError
from saddlepoint.zoo import models as shipped

FORMS = (".json", ".md")


@dc.dataclass(frozen=True)
class Wanted:
    """What was typed."""

    samples: str
    threat: str
    attacks: tuple[str, ...]
    sources: tuple[str, ...]
    backward: tuple[str, ...]
    out: Path | None


def carry(names: tuple[str, ...], wanted: Wanted, work: WorkOptions) -> None:
    """Print the table, and store it in ``out``.

    Raises:
        OptionError: fewer than two models, or another form of file.
    """
    if work.budget is not None:
        raise OptionError("--budget is for attacks on the model itself: crafting on another one costs it nothing")
    specs = names or tuple(f"zoo:{name}" for name in shipped.names())
    if len(specs) < 2:
        raise OptionError("say two models or more, from one to the other; or none, for all that are shipped")
    check_ending(wanted.out, FORMS, "the table goes")
    threat = threat_of(wanted.threat)
    ready, found = prepare_several(specs, wanted.samples, work)
    with progress(work.quiet) as listener:
        made = transfer(
            found,
            data=ready.data,
            threat=threat,
            attacks=split_attacks(wanted.attacks) if wanted.attacks else ATTACKS,
            sources=[short_name(spec) for spec in wanted.sources] or None,
            backward=split_attacks(wanted.backward, "--backward") if wanted.backward else (NONE,),
            seed=work.seed,
            batch_size=work.batch_size,
            listener=listener,
        )
    _show(made)
    if wanted.out is not None:
        atomic.write(wanted.out, (made.json() if wanted.out.suffix == ".json" else made.markdown()).encode() + b"\n")
        show(f"table: {wanted.out}")


def _show(made: TransferTable) -> None:
    said = f"{made.threat}; percent of the {made.n} of {made.asked} samples that every model classifies rightly"
    show("", said, "", table(made.header, made.rows(), right=range(2, len(made.header))))
