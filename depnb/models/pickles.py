"""Files of weights that others wrote with `torch.save`, read without running what is in them."""

import io
import pickle
import re
from pathlib import Path

import numpy as np
import torch


def read_checkpoint(path):
    """A PyTorch file of tensors, plain values and NumPy floats -> the object that was saved.

    AAFN's authors store their best score as a NumPy float. Nothing else is unpickled.

    Raises
    ------
    FileNotFoundError, ValueError
        In one sentence that names the file: there is none, a folder, an empty or truncated file,
        one that holds more than that, or one of safetensors.
    """
    return unpickled(path, file_bytes(path))


def file_bytes(path):
    """Content of a file of weights.

    Raises
    ------
    FileNotFoundError, ValueError
        In one sentence, if it has none.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such checkpoint. Give the path of an authors' file or "
                                "of a run's checkpoint.safetensors.") from None
    except OSError as error:
        if Path(path).is_dir():
            raise ValueError(f"{path}: a folder; expected a file of weights. "
                             "Give the file in it.") from None
        raise ValueError(f"{path}: cannot be read ({error.strerror}). "
                         "Give a file of weights that you may read.") from None
    if not data:
        raise ValueError(f"{path}: the file is empty; expected weights. Fetch it again.")
    return data


def unpickled(path, data):
    """What `read_checkpoint` returns, of the file's content."""
    if is_safetensors(data[:9]):
        raise ValueError(f"{path}: a safetensors file, as runs of this book write; expected a file "
                         "of the authors. Give it to the notebook of the run that wrote it.")
    scalar = (np.core.multiarray.scalar if int(np.__version__.split(".")[0]) < 2
              else np._core.multiarray.scalar)
    allowed = [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"),
               np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:      # PyTorch raises many types for files that it did not write
        foreign = (re.search(r"GLOBAL (\S+)", str(error))
                   if isinstance(error, pickle.UnpicklingError) else None)
        if foreign:
            raise ValueError(f"{path}: holds {foreign[1]}, which is no tensor or number; "
                             "it was not unpickled. "
                             "Keep only the weights of a checkpoint that you trust.") from None
        raise ValueError(f"{path}: not a whole PyTorch file ({type(error).__name__}). Fetch it "
                         "again, the file itself and not the page that shows it.") from None


def is_safetensors(start):
    """Whether nine bytes begin a file of safetensors: the length of its header, then JSON."""
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 2**27
