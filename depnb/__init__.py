"""depnb: four published models of depression recognition, reproduced.

Data travels one way:
corpora, models, scores -> features -> papers -> runs -> evidence -> book and lessons.
Figures and the simulator stand beside. Nothing imports what stands after it, also not inside a
function (tests/test_house.py).
"""

__version__ = "0.1.0"
