"""Corpora, each read exactly as its owners ship it; a simulated tree is read by the same code."""

from functools import partial
from pathlib import Path

from depnb.corpora import privacy
from depnb.corpora.avec import open_avec, open_frame_folder
from depnb.corpora.daic_woz import open_daic_woz
from depnb.corpora.dvlog import open_dvlog
from depnb.corpora.lmvd import open_lmvd
from depnb.corpora.speech_folder import open_speech_folder

OPENERS = {"avec2013": partial(open_avec, "avec2013"), "avec2014": partial(open_avec, "avec2014"),
           "frame_folder": open_frame_folder, "speech_folder": open_speech_folder,
           "daic_woz": open_daic_woz, "dvlog": open_dvlog, "lmvd": open_lmvd}


def open(name, root, cache=None, **options):
    """The corpus called `name` under the folder `root`.

    Parameters
    ----------
    name : str
        avec2013, avec2014, frame_folder, speech_folder, daic_woz, dvlog or lmvd.
    root : path
    cache : path, optional
        Folder that remembers what files hold, and this machine's key, by which people of a
        licensed corpus get their pseudonyms; without, these are of this process only.
    options
        Of speech_folder: `pattern`.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        The name is unknown, or a table cannot be used.
    FileNotFoundError
        The folder is missing or holds nothing of the kind.
    """
    if name not in OPENERS:
        raise ValueError(f"corpus {name!r}: depnb reads {', '.join(OPENERS)}.")
    if not Path(root).is_dir():
        raise FileNotFoundError(f"data_root {root}: no such folder. "
                                f"Expected the {name} corpus as distributed; give its folder, "
                                "or leave data_root at 'auto' for a simulated one.")
    terms = privacy.terms(root, cache)
    try:
        return OPENERS[name](Path(root), terms=terms, **options)
    except Exception as error:
        if terms.truth is not None:
            raise
        raise privacy.discreet(error, root, cache) from None
