"""Updates of one shape as the rows of resizable arrays: the layout that h5py and zarr share."""

import numpy as np

KEYS = ("timestamp", "iteration")
DENSE = "one shape for all updates: cannot store updates of changing rows or attributes; "


def columns(updates) -> dict[str, np.ndarray]:
    """Return `{"dataset/group/attribute": [updates, rows]}` with the keys `dataset/timestamp`."""
    dataset = updates[0].dataset
    stacked = {f"{dataset}/{key}": np.array([getattr(u, key) for u in updates]) for key in KEYS}
    for group, attributes in updates[0].data.items():
        for name in attributes:
            rows = [update.data[group][name]["data"] for update in updates]
            stacked[f"{dataset}/{group}/{name}"] = np.stack(rows)
    return stacked


def read_all(dataset) -> list[dict]:
    """Read whole arrays, then hand out their rows; `dataset` is a group of h5py or zarr."""
    keys = {key: dataset[key][:].tolist() for key in KEYS}
    updates = [dict(zip(keys, key, strict=True)) for key in zip(*keys.values(), strict=True)]
    for group in (name for name in dataset if name not in KEYS):
        arrays = {name: array[:] for name, array in dataset[group].items()}
        for index, update in enumerate(updates):
            update[group] = {name: {"data": array[index]} for name, array in arrays.items()}
    return updates


def state_at(dataset, group, timestamp) -> dict:
    """Read the last row up to `timestamp`: a state, since every update holds every entity."""
    index = int(np.searchsorted(dataset["timestamp"][:], timestamp, side="right")) - 1
    return {name: {"data": array[index]} for name, array in dataset[group].items()}
