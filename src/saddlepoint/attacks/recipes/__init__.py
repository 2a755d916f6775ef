"""The named attacks, each a few lines."""

from saddlepoint.attacks.recipes.accelerated import (
    acc_szofw,
    acc_szofw_star,
    zo_admm,
    zo_frank_wolfe,
    zo_ngd,
    zo_svrg,
)
from saddlepoint.attacks.recipes.auto_labels import auto_labels
from saddlepoint.attacks.recipes.auto_pgd import apgd_ce, apgd_dlr, apgd_t
from saddlepoint.attacks.recipes.autoattack import autoattack
from saddlepoint.attacks.recipes.carlini_wagner import cw_l0, cw_l2, cw_linf
from saddlepoint.attacks.recipes.ddn import ddn
from saddlepoint.attacks.recipes.deepfool import adef, deepfool
from saddlepoint.attacks.recipes.estimated import (
    bandits,
    nattack,
    p_rgf,
    parsimonious,
    rgf,
    sign_hunter,
    subspace,
    zo_adamm,
)
from saddlepoint.attacks.recipes.fab import fab, fab_t
from saddlepoint.attacks.recipes.fmn import fmn
from saddlepoint.attacks.recipes.frank_wolfe import frank_wolfe
from saddlepoint.attacks.recipes.hop_skip_jump import (
    boundary,
    geoda,
    hop_skip_jump,
    qeba,
    sign_opt,
    surfree,
)
from saddlepoint.attacks.recipes.informed import auto
from saddlepoint.attacks.recipes.insertion import insert, mimicry, try_insertions
from saddlepoint.attacks.recipes.lbfgs import lbfgs
from saddlepoint.attacks.recipes.nes import nes, nes_labels, nes_partial
from saddlepoint.attacks.recipes.perceptual import fast_lpa, lpa, ppgd
from saddlepoint.attacks.recipes.pgd import adam_pgd, bim, fgsm, mi_fgsm, pgd
from saddlepoint.attacks.recipes.pincer import pincer
from saddlepoint.attacks.recipes.rays import rays
from saddlepoint.attacks.recipes.rings import rings, shrinking_rings
from saddlepoint.attacks.recipes.smooth import recoloradv, stadv
from saddlepoint.attacks.recipes.sparse import pointwise, sparse_rs
from saddlepoint.attacks.recipes.square import square
from saddlepoint.attacks.recipes.targets import multi_targeted, odi_pgd
from saddlepoint.attacks.recipes.transferable import (
    di_fgsm,
    ila,
    ni_fgsm,
    si_fgsm,
    ti_fgsm,
    transferable,
    vmi_fgsm,
    vni_fgsm,
)
from saddlepoint.attacks.recipes.triage import triage
from saddlepoint.attacks.recipes.visits import grid, one_plus_one, worst_of
from saddlepoint.attacks.recipes.zeroth_order import zoo

__all__ = [
    "acc_szofw",
    "acc_szofw_star",
    "adam_pgd",
    "adef",
    "apgd_ce",
    "apgd_dlr",
    "apgd_t",
    "auto",
    "auto_labels",
    "autoattack",
    "bandits",
    "bim",
    "boundary",
    "cw_l0",
    "cw_l2",
    "cw_linf",
    "ddn",
    "deepfool",
    "di_fgsm",
    "fab",
    "fab_t",
    "fast_lpa",
    "fgsm",
    "fmn",
    "frank_wolfe",
    "geoda",
    "grid",
    "hop_skip_jump",
    "ila",
    "insert",
    "lbfgs",
    "lpa",
    "mi_fgsm",
    "mimicry",
    "multi_targeted",
    "nattack",
    "nes",
    "nes_labels",
    "nes_partial",
    "ni_fgsm",
    "odi_pgd",
    "one_plus_one",
    "p_rgf",
    "parsimonious",
    "pgd",
    "pincer",
    "pointwise",
    "ppgd",
    "qeba",
    "rays",
    "recoloradv",
    "rgf",
    "rings",
    "shrinking_rings",
    "si_fgsm",
    "sign_hunter",
    "sign_opt",
    "sparse_rs",
    "square",
    "stadv",
    "subspace",
    "surfree",
    "ti_fgsm",
    "transferable",
    "triage",
    "try_insertions",
    "vmi_fgsm",
    "vni_fgsm",
    "worst_of",
    "zo_adamm",
    "zo_admm",
    "zo_frank_wolfe",
    "zo_ngd",
    "zo_svrg",
    "zoo",
]
