"""Logs of a fork of STA-DRN: the development error of its trainings, epoch by epoch."""

import pandas as pd

from depnb.files import located

FOLDER = "book/data/sta_drn_rerun"      # of sam4-21-blip/STA-DRN
# development MAE of the training mean of AVEC 2014, from the released labels
CONSTANT = 10.30
VARIANTS = {"tanet": "temporal", "sanet": "spatial", "stanet": "sum",
            "stanet_af": "attention fusion"}
RATES = {"": "0.005", "_lr001": "0.001"}


def read(folder):
    """Logs published by others -> dict name -> table by epoch, columns mae and rmse.

    Parameters
    ----------
    folder : path
        It holds CSV files of epoch, MAE, RMSE, with or without a header.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    """
    logs = {}
    for file in sorted(folder.glob("*.csv")):
        log = pd.read_csv(file, names=["epoch", "mae", "rmse"])
        log = log.apply(pd.to_numeric, errors="coerce").dropna()        # drops the header line
        logs[file.stem.removeprefix("training_log_")] = log.set_index("epoch")
    if not logs:
        raise FileNotFoundError(f"{folder}: no CSV file. Expected logs of epoch, MAE and RMSE; "
                                "restore them from git.")
    return logs


def of_fork():
    """The fork's logs -> "variant, rate": table by epoch."""
    logs = read(located(FOLDER))
    return {f"{variant}, rate {rate}": logs[name + suffix]
            for name, variant in VARIANTS.items() for suffix, rate in RATES.items()}


def table(logs, constant=CONSTANT):
    """Best and median error of every log, and how often a constant is as good -> DataFrame."""
    return pd.DataFrame([{
        "log": name, "best MAE": log["mae"].min(), "at epoch": int(log["mae"].idxmin()),
        "median MAE": log["mae"].median(),
        "epochs no better than a constant": int((log["mae"] >= constant).sum()), "of": len(log)}
        for name, log in logs.items()])
