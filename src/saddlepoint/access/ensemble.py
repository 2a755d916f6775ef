"""Several models as one: what fools their common answer often fools another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.access.asking import GradientAccess
from saddlepoint.access.model import Model, wrap
from saddlepoint.access.stand_ins import Standin
from saddlepoint.errors import ModelError, OptionError

Fuse = Literal["logits", "probabilities"]


class _Members(nn.Module):
    """Several models that are asked the same."""

    def __init__(self, models: Sequence[Model]) -> None:
        super().__init__()
        self.models = list(models)
        # Those that are modules are seen as such: their modes and parameters are kept as an attack found them.
        self.members = nn.ModuleDict(
            {str(k): m.network for k, m in enumerate(models) if isinstance(m.network, nn.Module)}
        )

    def answers(self, x: Tensor) -> list[Tensor]:
        """What each says of x: logits [N, K]."""
        answers = [model(x) for model in self.models]
        widths = {answer.shape[1] for answer in answers}
        if len(widths) > 1:
            raise ModelError(f"the models of an ensemble know {sorted(widths)} classes: they must agree")
        return answers


class _Mean(_Members):
    """The weighted mean of what models answer."""

    def __init__(self, models: Sequence[Model], shares: Tensor, fuse: Fuse) -> None:
        super().__init__(models)
        self.shares, self.fuse = shares.tolist(), fuse

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K]."""
        answers = self.answers(x)
        if self.fuse == "logits":
            return sum((share * a for share, a in zip(self.shares, answers, strict=True)), torch.zeros_like(answers[0]))
        logs = [a.log_softmax(1) + torch.tensor(s).log().to(a) for s, a in zip(self.shares, answers, strict=True)]
        return torch.stack(logs).logsumexp(0)


class _SideBySide(_Members):
    """What all models answer, one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, M · K]."""
        return torch.cat(self.answers(x), 1)


def ensemble(
    models: Sequence[Callable[[Tensor], Any]],
    weights: Sequence[float] | None = None,
    fuse: Fuse = "logits",
) -> Model:
    """One model whose answer is the weighted mean of the answers of several: of logits, or of probabilities.

    To be attacked like any other, most often as the surrogate for a model that is not among them: a cost is one forward
    of all.

    Args:
        models: an ``nn.Module``, callable or ``sp.wrap`` each, for the same inputs and classes, with gradients.
        weights: one for each, not negative; they are divided by their sum. Default: all alike.
        fuse: "logits" (Dong et al. 2018), or "probabilities" (Liu et al. 2017).

    Raises:
        OptionError: no model, bounds that differ, weights that do not fit.
        ModelError: numbers of classes that differ, when first asked.

    Source: Liu, Chen, Liu, Song, "Delving into transferable adversarial examples and black-box attacks", ICLR 2017;
    Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018.

    >>> import saddlepoint as sp
    >>> both = ensemble([sp.zoo.load("fashion-standard"), sp.zoo.load("fashion-fgsm")])
    >>> both(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    if fuse not in ("logits", "probabilities"):
        raise OptionError(f"fuse is logits or probabilities, got {fuse!r}")
    wrapped = _agreeing(models)
    given = torch.tensor([1.0] * len(wrapped) if weights is None else list(weights), dtype=torch.float64)
    if len(given) != len(wrapped) or bool((given < 0).any()) or not float(given.sum()) > 0:
        raise OptionError(f"weights are numbers of at least 0, one for each of {len(wrapped)} models; got {weights}")
    return _as_one(_Mean(wrapped, given / given.sum(), fuse))


def side_by_side(models: Sequence[Callable[[Tensor], Any]]) -> Model:
    """One model that answers with the logits of all M models: [N, M · K], the first K those of the first.

    ``each`` takes them apart. Arguments and errors as for ``ensemble``.
    """
    return _as_one(_SideBySide(_agreeing(models)))


def each(logits: Tensor, members: int) -> Tensor:
    """What each member of ``side_by_side`` said: [N, M · K] -> [M, N, K].

    >>> each(torch.tensor([[1, 2, 3, 4]]), 2).tolist()
    [[[1, 2]], [[3, 4]]]
    """
    return logits.view(len(logits), members, logits.shape[1] // members).transpose(0, 1)


def _agreeing(models: Sequence[Callable[[Tensor], Any]]) -> list[Model]:
    """The models wrapped; refused where they cannot be asked as one."""
    if not models:
        raise OptionError("an ensemble needs a model")
    wrapped = [model if isinstance(model, Model) else wrap(model) for model in models]
    boxes = {model.box.ends for model in wrapped}
    if len(boxes) > 1:
        raise OptionError(f"the models of an ensemble have the bounds {sorted(boxes)}: they must agree")
    blind = [model.name for model in wrapped if not issubclass(model.kind, GradientAccess)]
    if blind:
        raise OptionError(f"{', '.join(blind)} gives no gradients: an ensemble is attacked by those of all")
    return wrapped


def _as_one(members: _Members) -> Model:
    """A model of all, with the bounds, backward rules and names of classes of its members."""
    models = members.models
    table: dict[str, Standin] = {
        f"members.{k}.{name}": standin for k, model in enumerate(models) for name, standin in model.stand_ins.items()
    }
    made = wrap(
        members,
        bounds=models[0].box.ends,
        output="logits",
        batch_size=min(model.batch_size for model in models),
        name=" + ".join(model.name for model in models),
        bpda=table,
    )
    made.class_names = next((model.class_names for model in models if model.class_names), None)
    return made
