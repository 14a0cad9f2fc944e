"""The table of a simulated cohort: who its participants are, in all layouts at once."""

import json
from pathlib import Path

import pandas as pd

TABLE = "COHORT.json"


def read_participants(root):
    """The participants of a rendered cohort: one row each -> DataFrame with participant (text, as `corpora.open` has it).

    Columns: severity, gender, age, split, label (PHQ-8 >= 10), bdi2, PHQ-8 items and total; every latent cue as cue_<name>;
    <layout>_sessions, lists of the sessions' names; and what may matter for fairness: avec2014_skin_tone (0 light to 1
    dark), _light (1 is that of the portrait), _light_contrast, _warmth, _noise (of the sensor, grey levels);
    speech_folder_noise and daic_woz_noise (dB below speech: more is better), _level (dB), _reverberation (s), _wet (dB),
    speech_folder_sample_rate (Hz); daic_woz_degraded ("" or the modality), _how, _strength, _untracked (share of frames);
    dvlog_uninformative (share of the vlogs).
    Raises FileNotFoundError when the root holds no cohort.
    """
    file = Path(root) / TABLE
    if not file.exists():
        raise FileNotFoundError(f"{root}: no {TABLE} in it. Write a cohort there: python -m depnb.simulation cohort --root "
                                f"{root}")
    rows = []
    for entry in json.loads(file.read_text())["participants"]:
        cues, facts = entry.pop("cues"), entry.pop("layouts")
        rows.append(entry | {f"cue_{cue}": value for cue, value in cues.items()}
                    | {f"{layout}_{name}": value for layout, found in facts.items() for name, value in found.items()})
    return pd.DataFrame(rows).astype({"participant": str})
