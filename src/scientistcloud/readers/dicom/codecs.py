"""Decoding of compressed DICOM frames by imagecodecs, as a plugin of pydicom.

pydicom finds the frames, corrects unused bits and converts colours; this turns one frame's bytes
into samples. RLE and deflated files need no plugin.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

PLUGIN = "imagecodecs"

_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
_HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
_CODECS = {
    **dict.fromkeys(_JPEG, "jpeg8"),
    **dict.fromkeys(_JPEG_LS, "jpegls"),
    **dict.fromkeys(_JPEG_2000, "jpeg2k"),
    **dict.fromkeys(_HTJ2K, "htj2k"),
}
DECODER_DEPENDENCIES = dict.fromkeys(_CODECS, ("imagecodecs",))


def is_available(syntax: str) -> bool:
    """Whether imagecodecs can decode the transfer syntax."""
    codec = _CODECS.get(uid.UID(syntax))
    return codec is not None and bool(getattr(imagecodecs, codec.upper()).available)


@lru_cache(maxsize=1)
def register() -> None:
    """Tell pydicom of this plugin, once."""
    for syntax in _CODECS:
        if PLUGIN not in get_decoder(syntax).available_plugins and is_available(syntax):
            get_decoder(syntax).add_plugin(PLUGIN, (__name__, "_decode_frame"))


def plugin_for(syntax: str) -> str:
    """The name of the plugin to ask pydicom for; empty where its own will do."""
    return PLUGIN if uid.UID(syntax) in _CODECS else ""


def _decode_frame(src: bytes, runner: Any) -> bytearray:
    """The samples of one frame; `runner` is told in what form they are."""
    syntax = runner.transfer_syntax
    if syntax in _JPEG:
        samples = _decode_jpeg(src)
    elif syntax in _JPEG_LS:
        samples = imagecodecs.jpegls_decode(src)
    elif syntax in _HTJ2K:
        samples = imagecodecs.htj2k_decode(src)
    else:
        samples = imagecodecs.jpeg2k_decode(src)
    if syntax in (*_JPEG_2000, *_HTJ2K) and runner.photometric_interpretation in (
        "YBR_ICT",
        "YBR_RCT",
    ):
        runner.set_option("photometric_interpretation", "RGB")
    if samples.size != runner.rows * runner.columns * runner.samples_per_pixel:
        raise ValueError(f"the frame decodes to the shape {samples.shape}")
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * samples.dtype.itemsize)
    return bytearray(np.ascontiguousarray(samples).tobytes())


def _decode_jpeg(src: bytes) -> Any:
    """The components as they are stored: the colours are pydicom's to convert."""
    try:
        return imagecodecs.jpeg8_decode(src, colorspace="rgb", outcolorspace="rgb")
    except imagecodecs.Jpeg8Error:
        return imagecodecs.jpeg_decode(src)
