"""Relay catches webhooks and forwards them. Nothing accepted is ever lost."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("relay")
except PackageNotFoundError:  # run from a folder that was never installed
    __version__ = "0"
