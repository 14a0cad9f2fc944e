"""Where things are."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
MEDIA = Path(__file__).parent / "media"
