"""Perturbation sets: which changes of an input are allowed, and the geometry of each."""

from saddlepoint.sets.ball import Ball
from saddlepoint.sets.composed import Composed
from saddlepoint.sets.corruption import Corruption
from saddlepoint.sets.features import Features
from saddlepoint.sets.flow import Flow
from saddlepoint.sets.insertions import HasUnits, Insertions, units
from saddlepoint.sets.latent import Generator, Latent, Waves
from saddlepoint.sets.lp import L2, Linf
from saddlepoint.sets.mixing import Mixing
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.sets.nuclear import Nuclear
from saddlepoint.sets.nuisance import Nuisance
from saddlepoint.sets.oracle import HasLMO, linear_oracle
from saddlepoint.sets.patch import Patch
from saddlepoint.sets.perceptual import Perceptual
from saddlepoint.sets.recolor import Recolor
from saddlepoint.sets.sinkhorn import Sinkhorn
from saddlepoint.sets.sparse import L0, L1
from saddlepoint.sets.spatial import Spatial
from saddlepoint.sets.threat import CONVEX, GRADUAL, NON_ADDITIVE, STEEP, kinds, names, parse
from saddlepoint.sets.wasserstein import Wasserstein

__all__ = [
    "CONVEX",
    "GRADUAL",
    "L0",
    "L1",
    "L2",
    "NON_ADDITIVE",
    "STEEP",
    "Ball",
    "Composed",
    "Corruption",
    "Features",
    "Flow",
    "Generator",
    "HasLMO",
    "HasUnits",
    "Insertions",
    "Latent",
    "Linf",
    "Mixing",
    "Neighborhood",
    "Nuclear",
    "Nuisance",
    "Patch",
    "Perceptual",
    "Recolor",
    "Sinkhorn",
    "Spatial",
    "Wasserstein",
    "Waves",
    "kinds",
    "linear_oracle",
    "names",
    "parse",
    "units",
]
