"""Video files: the only place that writes and reads them, one frame at a time.

`coders` knows what can be written here, `writing` writes a whole file or none, `reading` streams and counts.
"""

from __future__ import annotations

from citygan.videofile.coders import INSTALL, OPENCV, SUFFIXES, Coder, coder_for
from citygan.videofile.reading import FASTEST, SLOWEST, VideoInfo, check_one_size, frames_of, looks_like_video, probe
from citygan.videofile.writing import VideoWriter, new_video

__all__ = [
    "FASTEST",
    "INSTALL",
    "OPENCV",
    "SLOWEST",
    "SUFFIXES",
    "Coder",
    "VideoInfo",
    "VideoWriter",
    "check_one_size",
    "coder_for",
    "frames_of",
    "looks_like_video",
    "new_video",
    "probe",
]
