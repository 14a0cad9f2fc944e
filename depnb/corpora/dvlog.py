"""D-Vlog as distributed: feature arrays of vlogs, depressed or not, one row a second.

labels.csv                     index,label,duration,gender,fold
<id>/<id>_acoustic.npy         (T, 25) openSMILE's low-level descriptors
<id>/<id>_visual.npy           (T, 136) 68 landmarks, all x then all y

The table may lack its header: columns are then taken by position, as the loader of DepMamba, which
DynMultiDep took over, does throughout.
"""

from collections import defaultdict

from depnb.corpora.vlogs import arrays, find_table, open_vlogs, read_rows
from depnb.files import hidden

COLUMNS = ("index", "label", "duration", "gender", "fold")
LABELS = {"depression": 1, "normal": 0, "non-depression": 0, "nondepression": 0,
          "non_depression": 0}
EXPECTED = {"acoustic": "{0}/{0}_acoustic.npy", "visual": "{0}/{0}_visual.npy"}


def open_dvlog(root, terms=None):
    """D-Vlog (Yoon et al. 2022) under `root`, by class, with the official split.

    Its parts are acoustic and visual. Vlogs with a fault are left out and listed in `problems`;
    arrays are looked at by `features.vlog.load`.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        There is no table.
    ValueError
        The table is another one, or no vlog can be used.
    """
    table, problems = find_table(root, ("labels.csv",))
    listed = read_rows(table, ("index", "label", "gender", "fold"), COLUMNS)
    arrays_by_id = arrays_of(root)
    inhabited = {folder for parts in arrays_by_id.values() for paths in parts.values()
                 for p in paths for folder in p.parents}
    folders = {p.name: p for p in table.parent.iterdir()
               if p.is_dir() and p not in inhabited and not hidden(p.name)}
    return open_vlogs("D-Vlog", root, table, listed, LABELS, arrays_by_id, EXPECTED, folders,
                      problems, terms)


def arrays_of(root):
    """Arrays in the root or below, listed in a table or not: mapping id -> part -> paths."""
    arrays_by_id = defaultdict(dict)
    for path in arrays(root):
        vlog, _, part = path.stem.rpartition("_")
        if part.lower() in EXPECTED:
            arrays_by_id[vlog].setdefault(part.lower(), []).append(path)
    return arrays_by_id
