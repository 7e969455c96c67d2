"""How things are kept: the archive of what ended, backups, and the search for what is out of step in the store."""

from relay.keeping.archive import Archive
from relay.keeping.housekeeping import Housekeeper

__all__ = ["Archive", "Housekeeper"]
