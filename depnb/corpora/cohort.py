"""The table of a simulated cohort: who its participants are, in all layouts at once."""

import json
from pathlib import Path

import pandas as pd

from depnb.corpora.privacy import MARKER
from depnb.corpora.simulated import outdated

TABLE = "COHORT.json"


def read_participants(root):
    """The participants of a rendered cohort, who are the same in all its layouts.

    Returns
    -------
    DataFrame, one row a participant
        participant (text, as `corpora.open` has it), severity, gender, age, split, label
        (PHQ-8 >= 10), bdi2, PHQ-8 items and total; every latent cue as cue_<name>;
        <layout>_sessions, lists of the sessions' names; and what may matter for fairness:
        avec2014_skin_tone (0 light to 1 dark), _light (1 is usual),
        _light_contrast, _warmth, _noise (of the sensor, grey levels);
        speech_folder_noise and daic_woz_noise (dB below speech: more is better), _level (dB),
        _reverberation (s), _wet (dB), speech_folder_sample_rate (Hz);
        daic_woz_degraded ("" or the modality), _how, _strength, _untracked (share of frames);
        dvlog_uninformative (share of the vlogs).

    Raises
    ------
    FileNotFoundError
        The root holds no cohort.
    ValueError
        Another version of the simulator wrote the cohort, or one of its layouts; its table or a
        marker cannot be read.
    """
    file = Path(root) / TABLE
    if not file.exists():
        raise FileNotFoundError(f"{root}: no {TABLE} in it. Write a cohort there: "
                                f"python -m depnb.simulation cohort --root {root}")
    try:
        told = json.loads(file.read_text())
        held = [told["arguments"]]
        for layout in told["layouts"]:
            if (marker := Path(root) / layout / MARKER).exists():
                file = marker
                held.append(json.loads(file.read_text())["arguments"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f"{file}: cannot be read. "
                         "Choose another folder or remove this one.") from None
    for arguments in held:
        if old := outdated(root, arguments | {"cohort": False, "layout": "cohort"}):
            raise ValueError(old)
    rows = []
    for entry in told["participants"]:
        cues, facts = entry.pop("cues"), entry.pop("layouts")
        rows.append(entry | {f"cue_{cue}": value for cue, value in cues.items()}
                    | {f"{layout}_{name}": value for layout, layout_facts in facts.items()
                       for name, value in layout_facts.items()})
    return pd.DataFrame(rows).astype({"participant": str})
