"""Batches of 8 full-size windows of interviews: ours against the released data set.

python benchmarks/window_loading.py --save benchmarks/results/window_loading.csv

A window has 60 s of key points, gaze, log-mel and sentences. Plain: one float64 .npy file a window
and modality, as the released preprocessing leaves them; for every sample four folders of 1311 files
are listed and sorted, four arrays read, joined and converted, and samples stacked to a batch. Ours:
one memory-mapped float32 array a session and modality, windows cut straight into the batch. Same
values in both.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from paired import arguments, compare, report
from torch.utils.data import default_collate

from depnb.features import store, windowing
from depnb.runs import loop

FOLDERS = ("facial_keypoints", "gaze_vectors", "audio/mel-spectrogram", "text")
FILES, BATCH = 1311, 8  # windows of the released training set; of a batch here


def a_session(rng, windows):
    """Arrays of a session as `interview.extract` gives them, as long as so many windows."""
    frames = windowing.LENGTH + (windows - 1) * windowing.STRIDE
    sentences = 10 * windows
    return {"visual": rng.random((frames, 72, 3), np.float32),
            "audio": rng.random((80, frames), np.float32),
            "text": rng.random((sentences, 512), np.float32),
            "span": np.arange(2.0 * sentences).reshape(-1, 2) * frames / sentences / 60,
            "turns": np.array([[0, frames]]), "frames": np.int64(frames), "step": np.int64(1)}


def write_released(root, windows, files):
    """One file a window and modality; of windows never read, links to one empty file."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
        np.save(root / "empty.npy", np.empty(0))
        for i in range(len(windows), files):
            os.link(root / "empty.npy",
                    root / folder / f"{600 + i // 9}-{i % 9:02d}_{Path(folder).name}.npy")
    for i, row in windows.table.iterrows():
        batch = {k: v[0].numpy().astype(np.float64) for k, v in windows.batch([i]).items()}
        parts = batch["visual"][:, :68], batch["visual"][:, 68:], batch["audio"], batch["text"]
        for folder, part in zip(FOLDERS, parts, strict=True):
            np.save(root / folder
                    / f"{row['session']}-{row['window']:02d}_{Path(folder).name}.npy", part)


def released_sample(root, index):
    """One sample as their data set makes it."""
    keypoints, gaze, audio, text = (
        np.load(os.path.join(root, folder, np.sort(os.listdir(os.path.join(root, folder)))[index]))
        for folder in FOLDERS)
    arrays = {"visual": np.concatenate((keypoints, gaze), axis=1), "audio": audio, "text": text}
    return {name: torch.from_numpy(array).type(torch.FloatTensor) for name, array in arrays.items()}


def main():
    """The command line."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--quick", action="store_true",
                        help="two sessions and few files: to see that it runs")
    a = parser.parse_args()
    sessions, files, batches = (2, 20, 2) if a.quick else (40, FILES, 20)
    loop.keep_freed_memory()                            # as in the notebooks
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for i in range(sessions):
            store.write(folder / "store" / str(300 + i), a_session(rng, int(rng.integers(3, 8))))
        windows = windowing.Windows({entry.name: store.read(entry)
                                     for entry in sorted((folder / "store").iterdir())})
        write_released(folder / "released", windows, files)
        print(f"{len(windows)} windows of {sessions} sessions, {files} files a folder")
        chosen = [rng.choice(len(windows), BATCH, replace=False) for _ in range(batches)]

        def plain(rows):
            return default_collate([released_sample(folder / "released", i) for i in rows])

        for rows in chosen[:2]:
            expected, ours = plain(rows), windows.batch(rows)
            assert all(torch.equal(expected[name], ours[name]) for name in expected)
        row = compare(lambda: [plain(rows) and None for rows in chosen],
                      lambda: [windows.batch(rows) and None for rows in chosen], a.rounds)
    report({f"{batches} batches of {BATCH} windows of 60 s": row}, a.save)


if __name__ == "__main__":
    main()
