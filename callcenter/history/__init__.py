"""PostgreSQL: what is remembered. The drain brings records here, exactly once; reports fold them."""

from callcenter.history.database import DatabaseAway, connect
from callcenter.history.drain import Drain
from callcenter.history.migrate import MigrationRefused, migrate

__all__ = ["DatabaseAway", "Drain", "MigrationRefused", "connect", "migrate"]
