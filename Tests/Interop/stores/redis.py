"""Redis, Debian's."""

from packages import require
from store_processes import migrate_by_keys

NAME = "Redis 7.0"
migrate = migrate_by_keys


def server(_):
    """The program that is a server, a node of a cluster or a Sentinel."""
    require("v=7.0.", "redis-server", "--version")
    return "redis-server"
