"""Landmarks of faces large and small, by MediaPipe's FaceMesh and FaceDetection.

    frame -> FaceMesh -> 478 points
    no face: FaceDetection, full range, in the frame or its quarters -> box, enlarged -> FaceMesh
"""

import warnings
from contextlib import ExitStack, contextmanager

import cv2
import numpy as np

from depnb.corpora.readers import quiet_stderr


@contextmanager
def quiet_mediapipe():
    """Without mediapipe's log, and without its warnings about protobuf (0.10.14 beside 4.25)."""
    with quiet_stderr(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype")
        yield


def face_mesh(frames):
    """FaceMesh landmarks of consecutive frames.

    Where FaceMesh sees none, as of a face below a tenth of the picture's width, `closer_look`.

    Parameters
    ----------
    frames : iterable of (H, W, 3) uint8 RGB

    Returns
    -------
    (n, 478, 3) float32, NaN where no face was seen
        x and y in pixels of the frame, z in the same unit, smaller is nearer (weak perspective).
    """
    import mediapipe  # here, not at the top: it takes seconds to import

    points, before, tools = [], None, None
    with quiet_mediapipe(), ExitStack() as opened:
        mesh = opened.enter_context(mediapipe.solutions.face_mesh.FaceMesh(
            max_num_faces=1, refine_landmarks=True))
        for frame in frames:
            face = landmarks_in(frame, mesh)
            if face is None:
                tools = tools or (opened.enter_context(full_range()), opened.enter_context(
                    mediapipe.solutions.face_mesh.FaceMesh(
                        static_image_mode=True, max_num_faces=1, refine_landmarks=True)))
                face = closer_look(frame, before, *tools)
            before = before if face is None else face
            points.append(np.full((478, 3), np.nan) if face is None else face)
    return np.array(points, dtype=np.float32).reshape(-1, 478, 3)


def full_range():
    """MediaPipe's detector of faces near and far, bundled with it."""
    import mediapipe

    return mediapipe.solutions.face_detection.FaceDetection(model_selection=1,
                                                            min_detection_confidence=0.5)


def landmarks_in(frame, mesh):
    """What a FaceMesh sees in a frame: (478, 3) in its pixels, or None."""
    faces = mesh.process(frame).multi_face_landmarks
    scale = np.array([frame.shape[1], frame.shape[0], frame.shape[1]])
    return np.array([[p.x, p.y, p.z] for p in faces[0].landmark]) * scale if faces else None


def boxes_in(frame, detector):
    """Faces that a detector sees in a frame: (n, 4) centre x, y, width and height in pixels."""
    faces = [face.location_data.relative_bounding_box
             for face in detector.process(frame).detections or []]
    shares = [[b.xmin + b.width / 2, b.ymin + b.height / 2, b.width, b.height] for b in faces]
    return np.array(shares).reshape(-1, 4) * np.tile(frame.shape[1::-1], 2)


def closer_look(frame, before, detector, mesh, size=256):
    """Landmarks of a small face: FaceMesh on twice the box that the full-range detector gives.

    The detector sees faces down to a twentieth of the width, in quarters of the frame, which
    overlap, smaller ones. Of several faces, the largest. Once a face was seen, only one near it
    and of its size: who stands behind is not taken for somebody who looks away.

    Parameters
    ----------
    frame : (H, W, 3) uint8 RGB
    before : (478, 3) of the last face seen, or None
    detector, mesh : `full_range`, and a FaceMesh for single pictures
    size : of the enlarged picture, pixels

    Returns
    -------
    (478, 3) in pixels of the frame, or None
    """
    boxes = boxes_in(frame, detector)
    if not len(boxes):
        height, width = (int(0.6 * side) for side in frame.shape[:2])
        corners = [(x, y) for x in (0, frame.shape[1] - width)
                   for y in (0, frame.shape[0] - height)]
        boxes = np.concatenate([
            boxes_in(np.ascontiguousarray(frame[y:y + height, x:x + width]), detector)
            + [x, y, 0, 0] for x, y in corners])
    if before is not None:
        width = np.ptp(before[:, 0])
        away = np.linalg.norm(boxes[:, :2] - (before.min(0) + before.max(0))[:2] / 2, axis=1)
        boxes = boxes[(away < width) & (abs(np.log2(boxes[:, 2] / width)) < 1)]
    if not len(boxes):
        return None
    x, y, *sides = boxes[boxes[:, 2].argmax()]
    side = 2 * max(sides)
    corner = np.array([x - side / 2, y - side / 2, 0])
    enlarged = warp(frame, np.c_[np.eye(2), -corner[:2]] / side, size)
    face = landmarks_in(enlarged, mesh)
    return None if face is None else face * side / size + corner


def warp(frame, matrix, size):
    """One crop, cubic.

    Parameters
    ----------
    frame : (H, W, 3) uint8
    matrix : (2, 3), to the unit square

    Returns
    -------
    (size, size, 3) uint8
    """
    shrink = 1 / (np.hypot(*matrix[0, :2]) * size)              # frame pixels a crop pixel covers
    if shrink > 1.2:
        frame = cv2.GaussianBlur(frame, (0, 0), 0.4 * shrink)
    return cv2.warpAffine(frame, matrix * size, (size, size), flags=cv2.INTER_CUBIC,
                          borderMode=cv2.BORDER_REPLICATE)
