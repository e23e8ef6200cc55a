"""The files that the lake's table is made of: what its metadata refers to, and what lies on HDFS."""

from collections.abc import Iterable
from dataclasses import dataclass

from hdfs.client import InsecureClient
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import StaticTable
from pyiceberg.table.snapshots import Snapshot

from loglake.errors import ServiceError, SettingsError
from loglake.settings import settings
from loglake.tables import path_of


@dataclass(frozen=True)
class Referenced:
    """Paths on HDFS: table metadata (the metadata file, manifest lists, manifests, statistics), and data files with their bytes."""

    metadata: tuple[str, ...]
    data: dict[str, int]


def referenced(bronze: StaticTable, snapshots: Iterable[Snapshot]) -> Referenced:
    """The files of these snapshots of the table; FileNotFoundError when one of the metadata's is not there."""
    locations = [bronze.metadata_location, *(found.statistics_path for found in bronze.metadata.statistics)]
    manifests: dict[str, ManifestFile] = {}
    for snapshot in snapshots:
        locations.append(snapshot.manifest_list)
        manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(bronze.io)}
    data: dict[str, int] = {}
    for manifest in manifests.values():
        for entry in manifest.fetch_manifest_entry(bronze.io, discard_deleted=True):
            data[path_of(entry.data_file.file_path)] = entry.data_file.file_size_in_bytes
    return Referenced(tuple(path_of(location) for location in (*locations, *manifests)), data)


def present(client: InsecureClient, folder: str) -> dict[str, int]:
    """Every file below a folder of HDFS, with its bytes; none when there is no such folder."""
    if client.status(folder, strict=False) is None:
        return {}
    return {
        f"{path.rstrip('/')}/{name}": int(status["length"])
        for (path, _), _, files in client.walk(folder, status=True)
        for name, status in files
    }


def require_present(wanted: dict[str, int], held: dict[str, int]) -> None:
    """ServiceError when a data file is not on HDFS as the metadata describes it."""
    lacking = sorted(path for path, size in wanted.items() if held.get(path) != size)
    if lacking:
        raise ServiceError(
            f"HDFS lacks {len(lacking)} of the {len(wanted)} data files that the table is made of, the first is {lacking[0]}"
        )


def require_same_file_system(location: str) -> None:
    """SettingsError when a table's location is on another file system than the settings name: Iceberg writes whole addresses."""
    here = settings().hdfs.uri
    if not location.startswith(f"{here}/"):
        there = location[: len(location) - len(path_of(location))]
        raise SettingsError(
            f"the lake's files are called {there}/…, and this stack's HDFS is {here}: set LOGLAKE_HDFS_NAMENODE_PORT or "
            "LOGLAKE_HDFS_NAME_SERVICE to the former"
        )
