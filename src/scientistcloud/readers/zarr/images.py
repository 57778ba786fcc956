"""Images of OME-Zarr as datasets: a field for each channel."""

from __future__ import annotations

from scientistcloud.errors import UnsupportedDtype
from scientistcloud.readers.arrays.time_units import in_seconds
from scientistcloud.readers.base import Choice, DatasetSpec
from scientistcloud.readers.cf.grids import GridField
from scientistcloud.readers.cf.variables import Variable
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.zarr.built import Built, add_field, as_stored, unwritten
from scientistcloud.readers.zarr.ome import OmeImage
from scientistcloud.readers.zarr.store import Store, ZarrArray

_MAX_IMAGES = 64
_MAX_ALTERNATIVES = 20


def add_images(store: Store, images: list[OmeImage], built: Built) -> None:
    """A dataset for each image, a field for each channel."""
    absent: list[ZarrArray] = []
    for image in images[:_MAX_IMAGES]:
        variable = store.arrays[image.array].variable
        if variable.dtype is None:
            built.notes.append(f"Not converted, as no numbers: {image.array}.")
            continue
        if not store.arrays[image.array].is_written:
            absent.append(store.arrays[image.array])
            continue
        taken = [d.name for d in built.datasets]
        name = output_name(image.group or image.array, taken) if taken else ""
        built.datasets.append(_image(built, name, image, variable))
    built.notes += [f"Left out: {unwritten(array).message}" for array in absent]
    if not built.datasets and absent:
        raise unwritten(absent[0])
    if not built.datasets:
        raise UnsupportedDtype(f"The images of {store.name} hold no numbers.")
    rule = "OME-Zarr: the image at its highest resolution; other images are further datasets"
    converted = [image.array for image in images[:_MAX_IMAGES]]
    others = [p for p in store.arrays if p not in converted][:_MAX_ALTERNATIVES]
    built.choices.append(Choice("dataset", ", ".join(converted), rule, tuple(others)))
    if len(images) > _MAX_IMAGES:
        built.notes.append(f"Only the first {_MAX_IMAGES} of {len(images)} images are converted.")


def _image(built: Built, name: str, image: OmeImage, variable: Variable) -> DatasetSpec:
    packing = as_stored(variable)
    channels: tuple[int | None, ...] = tuple(range(len(image.labels)))
    if image.channel is None or image.is_colour:
        channels = (None,)
    fields = []
    for channel in channels:
        plan = image.plan(variable.shape, channel)
        label = variable.group.rpartition("/")[2] or "image"
        if channel is not None:
            label = image.labels[channel]
        for part, roles in plan.each_field():
            member = GridField(variable, roles, packing, part)
            fields.append(add_field(built, name, member, f"{label} {part}".strip(), channel))
    roles = plan.roles
    time = image.axes[image.time] if image.time is not None and roles.time else None
    times: tuple[float, ...] = ()
    if time is not None and time.spacing is not None and time.units:
        times = tuple((time.origin or 0.0) + i * time.spacing for i in range(roles.timesteps))
    values, time_units = in_seconds(times, time.units if time is not None else None)
    return DatasetSpec(
        name,
        roles.shape,
        tuple(image.axes[a] for a in roles.space),
        tuple(fields),
        roles.timesteps,
        values,
        {
            "array": image.array,
            "stored_shape": list(variable.shape),
            "stored_axes": [axis.name for axis in image.axes],
            "resolutions": list(image.resolutions),
            **({"time_units": time.units} if time is not None and time.units else {}),
        },
        time_units,
    )
