"""Where a section measures: a tenant, a directory, the executables, and the report that it fills."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nginx
import peers
from figures import BASE, OWN, Report
from peers import Peer
from services import Tenant

Start = Callable[[], Peer]
# Minting for thousands of audiences must not wait for the allowance.
NO_ALLOWANCE = {"BROKER_MINTS_PER_MINUTE": "1000000"}


@dataclass(frozen=True)
class Executables:
    broker: Path
    tenant: Path
    go_broker: Path
    # What counts allocations, to be preloaded.
    counter: Path
    # The broker as of another revision, where there is one.
    base: Path | None


@dataclass(frozen=True)
class Scene:
    executables: Executables
    rounds: int
    # How many audiences the largest measurement has.
    audiences: int
    # Whether figures go into docs/.
    writes: bool
    directory: Path
    tenant: Tenant
    report: Report

    def broker(self, **options: Any) -> Peer:
        """The broker, as `peers.broker` takes options."""
        settings = NO_ALLOWANCE | options.pop("settings", {})
        return peers.broker(self.executables.broker, self.tenant, self.directory, settings=settings, **options)

    def ours(self, **options: Any) -> dict[str, Start]:
        """What starts the broker, and the base build where there is one."""
        settings = NO_ALLOWANCE | options.pop("settings", {})
        builds = {OWN: self.executables.broker}
        if self.executables.base:
            builds[BASE] = self.executables.base

        return {
            name: partial(
                peers.broker, executable, self.tenant, self.directory, name=name, settings=settings, **options)
            for name, executable in builds.items()
        }

    def go(self, core: int | None = None) -> Peer:
        return peers.go_broker(self.executables.go_broker, self.tenant, core)

    def nginxes(self, body: bytes, **options: Any) -> dict[str, Start]:
        """What starts nginx with that answer: without a field to compute, and with a random one."""
        return {
            "nginx": lambda: nginx.nginx(body, self.directory, **options),
            "nginx, random id": lambda: nginx.nginx(
                body, self.directory, name="nginx, random id", draws_id=True, **options),
        }

    def nginx_cache(self, body: bytes) -> Peer:
        """nginx as a cache of an upstream that says that answer."""
        return nginx.nginx(body, self.directory, name="nginx cache", draws_id=True, caching=True)

    def started(self, stack: ExitStack, starts: dict[str, Start]) -> dict[str, Peer]:
        return {name: stack.enter_context(start()) for name, start in starts.items()}
