"""The four papers, each a room of its own."""

from depnb.papers.aafn import AAFN
from depnb.papers.cfrafn import CFRAFN
from depnb.papers.dynmultidep import DynMultiDep
from depnb.papers.sta_drn import STADRN

MODELS = {paper.name: paper for paper in (CFRAFN, STADRN, AAFN, DynMultiDep)}
