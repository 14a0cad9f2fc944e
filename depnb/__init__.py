"""depnb: four published models of depression recognition, reproduced.

Data travels one way: corpora -> features -> models -> training -> evaluation -> explain and plots.
Only a notebook ties a corpus to a model.
"""

__version__ = "0.1.0"
