"""python -m depnb.features /path/to/AVEC2014 --frame-step 3 --size 224: track and crop every video below a folder.

Fills the cache ahead of a notebook, on a machine with many cores; the notebook then finds everything there.
"""

import argparse
from pathlib import Path

from depnb.features import face, store

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")


def main():
    parser = argparse.ArgumentParser(prog="python -m depnb.features", description="Track and crop faces into the cache.")
    parser.add_argument("folder", type=Path, help="every video in it and below is read")
    parser.add_argument("--cache", default="cache", type=Path, help="the notebook's cache_dir")
    parser.add_argument("--frame-step", type=int, default=3, help="every n-th frame")
    parser.add_argument("--size", type=int, default=224, help="side of the aligned crops in pixels")
    parser.add_argument("--workers", type=int, default=-1, help="processes; -1 uses every core")
    a = parser.parse_args()
    if not a.folder.is_dir():
        parser.error(f"{a.folder}: no such folder. Give the folder that holds the videos.")
    videos = {str(p.relative_to(a.folder)): p for p in sorted(a.folder.rglob("*")) if p.suffix.lower() in VIDEOS}
    tracks, problems = store.extract(videos, face.track, a.cache, workers=a.workers, frame_step=a.frame_step)
    crops, more = store.extract({name: videos[name] for name in tracks}, face.crop, a.cache, workers=a.workers,
                                each={name: {"alignment": t["alignment"]} for name, t in tracks.items()},
                                frame_step=a.frame_step, size=a.size)
    print(f"{len(crops)} of {len(videos)} videos in the cache.")
    for name, sentence in {**problems, **more}.items():
        print(f"{name}: {sentence}")


if __name__ == "__main__":
    main()
