"""Backups of a running relay: one file with all that the store knows and the workspace, and its way back."""

from relay.backup.make import Made, make
from relay.backup.manifest import Manifest
from relay.backup.restore import read_manifest, restore, write_rdb

__all__ = ["Made", "Manifest", "make", "read_manifest", "restore", "write_rdb"]
