"""The commands and their options. What they do is imported when they are called, so that help answers at once."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

import saddlepoint
from saddlepoint.cli.endings import ended
from saddlepoint.cli.options import ModelOptions, WorkOptions

AUDIT_EXAMPLES = """
Examples:

saddlepoint audit zoo:fashion-standard --data fashion-mnist-1k \\
    --threat linf:0.1 --threat l2:1.5
saddlepoint audit mypkg.models:build --weights net.safetensors \\
    --data 'test.npz[:1000]' --threat linf:8/255 --out runs/net
saddlepoint audit mypkg.models:build --data photos/ --threat l2:0.5 \\
    --attacks 'apgd_ce,square(steps=1000)' --mean 0.5 --std 0.25
saddlepoint audit zoo:fashion-pgd-linf --data 'fashion-mnist-1k[:200]' \\
    --threat linf:0.05 --proofs --fail-under 0.6

Stop it with Ctrl-C whenever you like: the same command goes on.
"""
ATTACK_EXAMPLES = """
Examples:

saddlepoint attack pgd zoo:fashion-pgd-linf --data 'fashion-mnist-1k[:200]' \\
    --threat linf:0.1 --steps 40 --restarts 5
saddlepoint attack apgd_ce mypkg.models:build --data test.npz \\
    --threat linf:8/255 --out examples.safetensors
saddlepoint attack qeba zoo:fashion-standard --data 'fashion-mnist-1k[:50]' \\
    --target Bag --steps 10

Each attack has options of its own: saddlepoint attack pgd --help
"""
LIST_EXAMPLES = """
Examples:

saddlepoint list attacks
saddlepoint list data
"""
REPORT_EXAMPLES = """
Examples:

saddlepoint report runs/net
saddlepoint report runs/net --out page.html
saddlepoint report runs/net --format md --out appendix.md
saddlepoint report runs/net --json
saddlepoint report runs/
"""
CERTIFY_EXAMPLES = """
Examples:

saddlepoint certify zoo:fashion-pgd-linf --data 'fashion-mnist-1k[:100]' --threat linf:0.05
saddlepoint certify zoo:fashion-masked --data 'fashion-mnist-1k[:20]' --sigma 0.25
"""
COMPARE_EXAMPLES = """
Examples:

saddlepoint compare runs/before runs/after
saddlepoint compare runs/before runs/after --json
"""
TRANSFER_EXAMPLES = """
Examples:

saddlepoint transfer --data 'fashion-mnist-1k[:200]' --threat linf:0.1
saddlepoint transfer zoo:fashion-standard zoo:fashion-fgsm net.onnx \\
    --data 'fashion-mnist-1k[:200]' --threat linf:0.1 \\
    --attacks 'mi_fgsm,vmi_fgsm(neighbors=5),ila' --sources zoo:fashion-standard
"""
FOOL_ALL_EXAMPLES = """
Examples:

saddlepoint fool-all zoo:fashion-standard zoo:fashion-fgsm zoo:fashion-pgd-linf \\
    --data 'fashion-mnist-1k[:100]' --threat linf:0.15 --out fooled.safetensors
"""
UNIVERSAL_EXAMPLES = """
Examples:

saddlepoint universal zoo:fashion-standard --data 'fashion-mnist-1k[:200]' \\
    --held-out 'fashion-mnist-1k[500:]' --threat linf:0.1 --out delta.safetensors
"""
PATCH_EXAMPLES = """
Examples:

saddlepoint patch zoo:fashion-standard --data 'fashion-mnist-1k[:200]' \\
    --held-out 'fashion-mnist-1k[500:]' --side 12 --shift 4 --out patch.png
"""
AS_IS, AS_USUAL = ModelOptions(), WorkOptions()

app = App(
    name="saddlepoint",
    help="Find, fix, judge and explain the blind spots of neural networks.",
    version=saddlepoint.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    help_epilogue="Each command has examples: saddlepoint audit --help",
)
app.register_install_completion_command(add_to_startup=False)

Word = Annotated[
    str, Parameter(allow_leading_hyphen=True, help="an option of the attack: saddlepoint attack pgd --help")
]
Flag = Annotated[bool, Parameter(negative="")]


@app.command(help_epilogue=AUDIT_EXAMPLES)
def audit(
    model: str,
    /,
    *,
    data: str,
    threat: Annotated[list[str], Parameter(negative="")],
    target: str | None = None,
    mask: Path | None = None,
    plan: Literal["quick", "standard", "thorough"] | None = None,
    attacks: Annotated[list[str] | None, Parameter(negative="")] = None,
    curve: str = "auto",
    proofs: Annotated[bool | None, Parameter(negative="--no-proofs")] = None,
    surrogate: str | None = None,
    sigma: float | None = None,
    known: Annotated[list[str] | None, Parameter(negative="")] = None,
    out: Path | None = None,
    piece_size: int | None = None,
    report: Annotated[bool, Parameter(negative="--no-report")] = True,
    verify: Flag = False,
    fail_under: float | None = None,
    fail_on: Literal["flagged", "invalid"] = "invalid",
    of: ModelOptions = AS_IS,
    work: WorkOptions = AS_USUAL,
    typed: Annotated[str, Parameter(parse=False)],
) -> None:
    """How robust is a model? Attack it in stages, store every result, write a report.

    Args:
        model: zoo:NAME, FILE.onnx, package.module:callable and others: saddlepoint list models.
        data: samples: a name, a file, a folder of images and others: saddlepoint list data;
            with [:1000], [::7] or [sample:500:0] behind it only some.
        threat: set and radius of the perturbations, such as linf:8/255; may be given several times.
        target: class that the samples of all others are to be taken for, by name or number; else any but the true one
            will do. The targeted success rate is reported, and --fail-under asks for what is not taken for it.
        mask: what may change, under every threat: a picture (white may) or an array in a .npy file (not 0 may).
        plan: how much is tried; standard if nothing is said. Thorough goes on with AutoAttack, and takes as long.
        attacks: in place of a plan: names with commas between them, with options if wanted: apgd_ce,square(steps=1000).
        curve: attack that looks for the smallest perturbation of every sample; auto takes fmn where the model gives
            gradients, else a walk on labels; none leaves it out.
        proofs: prove, where bounds are known, that what stands withstands, for a lower limit beside the upper one; some
            tenths of a second a sample on small networks. If nothing is said, where the plan is thorough.
        surrogate: another model for the same inputs, named as MODEL is: attacks are crafted on it as well. learn:N
            learns one from N labels that the model answers.
        sigma: standard deviation of Gaussian noise: for threats in L2, the vote of the model under this noise is
            certified and attacked as well. Not the model itself: its numbers stand apart.
        known: robust accuracy that others found for this model, such as linf:8/255=0.42; a lower one flags. May be
            given several times.
        out: folder of the run; runs/MODEL-DATA-KEY if not given.
        piece_size: samples that are attacked, and stored, at a time; if not given, as many as take some minutes.
        report: whether to write the page.
        verify: ask the model about every stored input again in the end; with the command of a finished run, that alone.
        fail_under: share of all samples that must withstand all threats, such as 0.40; below it, or where the verdict
            is invalid, the exit code is 1.
        fail_on: with --fail-under, the verdict that fails whatever the share; flagged is the stricter.
        typed: the whole command.
    """
    from saddlepoint.cli.audit import Order
    from saddlepoint.cli.audit import audit as run

    run(
        model,
        Order(
            data,
            threat,
            target,
            mask,
            plan,
            attacks,
            curve,
            proofs,
            surrogate,
            sigma,
            known or (),
            out,
            piece_size,
            report,
            verify,
            fail_under,
            fail_on,
        ),
        of,
        work,
        typed,
    )


@app.command(help_epilogue=ATTACK_EXAMPLES)
def attack(
    name: str,
    model: str,
    /,
    *,
    data: str,
    threat: str | None = None,
    mask: Path | None = None,
    target: str | None = None,
    out: Path | None = None,
    of: ModelOptions = AS_IS,
    work: WorkOptions = AS_USUAL,
    **option: Word,
) -> None:
    """Run one attack on a model and print what it found.

    Args:
        name: of the attack: saddlepoint list attacks.
        model: zoo:NAME, FILE.onnx, package.module:callable and others: saddlepoint list models.
        data: samples, as for an audit.
        threat: set and radius, such as linf:8/255; attacks that look for the smallest change do without.
        mask: what may change: a picture (white may) or an array in a .npy file (not 0 may).
        target: class that every sample is to be taken for, by name or number; else any but the true one will do.
        out: file for the adversarial examples, .safetensors.
    """
    from saddlepoint.cli.attack import Within
    from saddlepoint.cli.attack import attack as run

    options = {key.replace("-", "_"): word for key, word in option.items()}
    run(name, model, data, Within(threat, mask), target, out, of, work, options)


@app.command(name="list", help_epilogue=LIST_EXAMPLES)
def list_(kind: Literal["attacks", "sets", "models", "data"], /, *, debug: Flag = False) -> None:
    """List what there is, one line each.

    Args:
        kind: of things.
        debug: show where an error came from.
    """
    from saddlepoint.cli.listing import list_things

    list_things(kind)


@app.command(help_epilogue=REPORT_EXAMPLES)
def report(
    run: Path,
    /,
    *,
    out: Path | None = None,
    format: Literal["html", "md", "json"] = "html",
    json: Flag = False,
    debug: Flag = False,
) -> None:
    """Write the report of a run again, or an index of many runs.

    Args:
        run: folder of an audit, also of one that was stopped; or a folder of such folders, for an index of them all.
        out: the file. If not given, a page goes to report.html (index.html) in the folder, anything else to stdout.
        format: html, a page with its JSON twin next to it; md, an appendix for a paper; json, the numbers.
        json: the same as --format json.
        debug: show where an error came from.
    """
    from saddlepoint.cli.reporting import report as rebuild

    rebuild(run, out, "json" if json else format)


@app.command(help_epilogue=CERTIFY_EXAMPLES)
def certify(
    model: str,
    /,
    *,
    data: str,
    threat: str | None = None,
    sigma: float | None = None,
    votes: int = 1000,
    alpha: float = 0.001,
    of: ModelOptions = AS_IS,
    work: WorkOptions = AS_USUAL,
) -> None:
    """Prove that a model withstands, where that can be proved.

    Args:
        model: as for an audit.
        data: samples, as for an audit.
        threat: set and radius, such as linf:0.05: bounds by intervals and CROWN, for the model itself.
        sigma: in place of a threat: standard deviation of Gaussian noise. What is certified, in L2, is the vote of the
            model under this noise (randomized smoothing), whatever the model is; not the model itself.
        votes: draws that are counted for each sample.
        alpha: probability, for each sample by itself, that what is said about a vote is wrong.
    """
    from saddlepoint.cli.certifying import Wanted
    from saddlepoint.cli.certifying import certify as run

    run(model, Wanted(data, threat, sigma, votes, alpha), of, work)


@app.command(help_epilogue=COMPARE_EXAMPLES)
def compare(first: Path, second: Path, /, *, json: Flag = False, debug: Flag = False) -> None:
    """Compare two audits of the same samples, sample by sample.

    Args:
        first: folder of a complete audit.
        second: another one, of another model or with other attacks.
        json: print it as JSON: shares, the paired difference with its 95 % interval, and the test.
        debug: show where an error came from.
    """
    from saddlepoint.cli.comparing import compare as run

    run(first, second, json)


@app.command(help_epilogue=TRANSFER_EXAMPLES)
def transfer(
    *models: str,
    data: str,
    threat: str,
    attacks: Annotated[list[str] | None, Parameter(negative="")] = None,
    sources: Annotated[list[str] | None, Parameter(negative="")] = None,
    backward: Annotated[list[str] | None, Parameter(negative="")] = None,
    out: Path | None = None,
    work: WorkOptions = AS_USUAL,
) -> None:
    """Which attacks on which models fool which others?

    Args:
        models: two or more, named as for an audit, for the same inputs in [0, 1]; all shipped networks if none is said.
        data: samples, as for an audit; those are counted that every model classifies rightly.
        threat: set and radius, such as linf:8/255.
        attacks: names with commas between them, with options if wanted. If nothing is said:
            mi_fgsm,vmi_fgsm,transferable.
        sources: the models to craft on, if not all that give gradients; may be given several times.
        backward: rules by which slopes go back through the sources, with commas between them, each tried with each
            attack: none, linear (LinBP), skip(branches='layer*.bn2') (SGM), soft(beta=5), intrinsic (IAA).
        out: file for the table, .json or .md.
    """
    from saddlepoint.cli.transferring import Wanted, carry

    wanted = Wanted(data, threat, tuple(attacks or ()), tuple(sources or ()), tuple(backward or ()), out)
    carry(models, wanted, work)


@app.command(help_epilogue=FOOL_ALL_EXAMPLES)
def fool_all(
    *models: str,
    data: str,
    threat: str,
    steps: int = 40,
    restarts: int = 1,
    objective: Literal["cross-entropy", "margin"] = "cross-entropy",
    average: Flag = False,
    out: Path | None = None,
    work: WorkOptions = AS_USUAL,
) -> None:
    """For each sample one perturbation that fools several models at once.

    Args:
        models: two or more with gradients, named as for an audit, for the same inputs in [0, 1].
        data: samples, as for an audit.
        threat: set and radius, such as linf:8/255.
        steps: of PGD on the models that still hold.
        restarts: random starts.
        objective: what is climbed on each model.
        average: climb the mean over the models, to see what it is worth to weigh those more that still hold.
        out: file for the perturbed samples, and whom each fools, .safetensors.
    """
    from saddlepoint.cli.jointly import Wanted, fool

    fool(models, Wanted(data, threat, steps, restarts, objective, average, out), work)


@app.command(help_epilogue=UNIVERSAL_EXAMPLES)
def universal(
    model: str,
    /,
    *,
    data: str,
    threat: str,
    held_out: str | None = None,
    method: Literal["sgd", "deepfool", "search"] = "sgd",
    target: str | None = None,
    epochs: int | None = None,
    out: Path | None = None,
    of: ModelOptions = AS_IS,
    work: WorkOptions = AS_USUAL,
) -> None:
    """Make one perturbation that fools a model on most samples.

    Args:
        model: as for an audit.
        data: the samples it is made from, as for an audit; some hundreds are enough, labels do not matter.
        threat: set and radius, such as linf:8/255.
        held_out: other samples, to see how many of them it fools.
        method: sgd climbs on batches; deepfool goes from sample to sample, is older, and takes far more slopes;
            search needs scores only.
        target: class that all samples shall be taken for, by name or number.
        epochs: passes over the samples: 10, and 500 of search.
        out: file for the perturbation, .safetensors.
    """
    from saddlepoint.cli.together import Wanted, together

    together(model, Wanted(data, threat, held_out, method, target, epochs, out), of, work)


@app.command(help_epilogue=PATCH_EXAMPLES)
def patch(
    model: str,
    /,
    *,
    data: str,
    side: int,
    held_out: str | None = None,
    target: str | None = None,
    turn: float = 20.0,
    zoom: float = 1.2,
    shift: float | None = None,
    light: float = 0.1,
    epochs: int = 40,
    out: Path | None = None,
    of: ModelOptions = AS_IS,
    work: WorkOptions = AS_USUAL,
) -> None:
    """Make one square patch that misleads a model wherever it is stuck.

    Beside it stands a gray patch of the same size in the same views, which only hides what is under it.

    Args:
        model: as for an audit.
        data: the pictures it is made from, as for an audit; some hundreds are enough, labels do not matter.
        side: of the patch, in pixels.
        held_out: other pictures, to see how many of them it misleads.
        target: class that all pictures shall be taken for, by name or number.
        turn: degrees by which it may be turned to either side.
        zoom: factor by which it may be nearer or farther.
        shift: pixels by which it may be off the middle; anywhere inside the picture if not given.
        light: share by which contrast may change, and half of that brightness.
        epochs: passes over the pictures.
        out: file for the patch, .png to print it or .safetensors.
    """
    from saddlepoint.attacks.views import Views
    from saddlepoint.cli.sticking import Wanted, stick

    views = Views(turn, zoom, shift, light)
    stick(model, Wanted(data, side, held_out, target, views, epochs, out), of, work)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line: ``words`` are what follows ``saddlepoint``. Returns the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    return ended(lambda: _dispatch(given), given)


def _dispatch(words: list[str]) -> None:
    if len(words) > 2 and words[0] == "attack" and not words[1].startswith("-") and {"--help", "-h"} & set(words):
        from saddlepoint.cli.listing import describe

        return describe(words[1])
    command, bound, unparsed = app.parse_args(words, exit_on_error=False, print_error=False)
    if "typed" in unparsed:
        bound.arguments["typed"] = shlex.join(["saddlepoint", *words])
    command(*bound.args, **bound.kwargs)
    return None
