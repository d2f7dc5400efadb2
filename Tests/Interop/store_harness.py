"""Brokers share a store through all that becomes of one: one mint for an audience, and no caller notices."""

import contextlib
import re
import socket
import statistics
import threading
import time

from store_fleet import PASSWORD, USER, Fleet, Load, refused, request, steady, url, user
from store_processes import HOST, Cluster, Connection, Refusal, Sentinels, Server, Slow, eventually, free_ports

# The longest that a caller may wait for a token, in seconds, of a tenant that takes a twentieth of one.
PATIENCE = 2
# When all brokers must know of a switch, in seconds after the first Sentinel has told of it. The one that leads a
# failover tells of it a second after the others.
SOON = 1.2


def play(_, module, executable, folder, place, verdicts):
    program = module.server(folder)
    for part in (one_server, slow_server, cluster, planned_failover, killed_primary):
        print(f"  {part.__doc__}", flush=True)
        home = place / part.__name__
        try:
            part(module, program, executable, home, verdicts)
        except (RuntimeError, Refusal, OSError) as error:
            verdicts.expect(part.__name__, "no error", f"{error}")


@contextlib.contextmanager
def under_load(what, fleet, verdicts, most=0, since=lambda: 0, rate=15):
    """Judges what callers get while the `with` lasts, and a little longer. `most`: mints beyond one for each audience
    that was first asked for after `since`. `rate`: such a second."""
    with Load(steady(fleet, rate)) as load:
        time.sleep(0.3)
        yield load
        time.sleep(0.7)
    fleet.check_lives()
    judge(what, fleet, load, verdicts, most, since())


def judge(what, fleet, load, verdicts, most, since):
    errors = [answer.error for answer in load.answers if answer.error]
    verdicts.require(f"{what}: errors", not errors, f"{len(errors)} of {len(load.answers)}", f", such as {errors[:2]}")
    audiences = load.audiences(since)
    mints = fleet.mints(audiences)
    verdicts.require(f"{what}: mints", mints - len(audiences) <= most, f"{mints} for {len(audiences)} audiences")
    worst = max(answer.seconds for answer in load.answers)
    verdicts.require(f"{what}: worst answer", worst <= PATIENCE, f"{worst * 1000:.0f} ms")


def one_server(_, program, executable, place, verdicts):
    """One server, whose user has the rights that docs/fleet.md names."""
    port, = free_ports(1)
    with Server(program, place, "server", port) as server:
        server.ask(*user(PASSWORD))
        with Fleet(executable, place / "fleet", url("redis", f"{HOST}:{port}")) as fleet:
            with under_load("calm", fleet, verdicts) as load:
                time.sleep(1)
            flush(server, fleet, load, verdicts)
            refuse(server, fleet, verdicts)
            rotate(server, fleet, verdicts)
            with under_load("restarted empty", fleet, verdicts, since=lambda: back) as load:
                server.kill()
                server.start()
                server.ask(*user("rotated"))
                fleet.wait_for_store()
                back = time.monotonic()
            restored([server], fleet, verdicts, "a restart")


def held(*servers):
    """How many tokens there are in the store, those that are in two places counted once."""
    keys = [key for server in servers for key in server.ask("KEYS", "token-broker:*") if ":claim" not in key]
    return len({re.search(r"\{([0-9a-f]+)", key)[1] for key in keys})


def flush(server, fleet, load, verdicts):
    server.ask("FLUSHALL")
    restored([server], fleet, verdicts, "FLUSHALL")
    newcomer, audiences = fleet.start_broker(), load.audiences()
    mints = fleet.mints(audiences)
    errors = [answer.error for answer in (request(newcomer, audience) for audience in audiences) if answer.error]
    verdicts.expect("a broker that has just started: errors", [], errors)
    verdicts.expect("a broker that has just started: mints", 0, fleet.mints(audiences) - mints)


def restored(servers, fleet, verdicts, what):
    """That a store which has lost something has all that the brokers hold within five seconds."""
    wanted, start = len(fleet.tenant.mints), time.monotonic()
    with contextlib.suppress(RuntimeError):
        eventually("tokens in the store again", lambda: held(*servers) >= wanted, 5)
    there, seconds = held(*servers), time.monotonic() - start
    verdicts.require(f"{what}: tokens back within 5 s", there >= wanted, f"{there} of {wanted}, {seconds:.1f} s")


def refuse(server, fleet, verdicts):
    """What the user may not do any more is noticed within seconds, and that it may again, though nobody asks."""
    expected = {"load", "claim", "listen"}
    with Load(steady(fleet, 15)) as load:
        server.ask("ACL", "SETUSER", USER, "-mget", "resetchannels")
        with contextlib.suppress(RuntimeError):
            eventually("condition", lambda: all(set(refused(broker)) == expected for broker in fleet.brokers), 6)
        seen = [refused(broker) for broker in fleet.brokers]
        server.ask(*user(PASSWORD))
    errors = [answer.error for answer in load.answers if answer.error]
    verdicts.expect("without MGET and the channel: errors", [], errors[:2])
    holds = all(set(each) == expected for each in seen)
    verdicts.require("without MGET and the channel: refused", holds, seen, f", where {sorted(expected)} are expected")
    start = time.monotonic()
    with contextlib.suppress(RuntimeError):
        fleet.wait_for_store(8)
    seen, seconds = [refused(broker) for broker in fleet.brokers], time.monotonic() - start
    verdicts.require("with them again: refused", not any(seen), f"{seen}, {seconds:.1f} s")


def rotate(server, fleet, verdicts):
    """The server takes both passwords until the brokers' file has the new one."""
    # While the brokers connect anew each is on its own: a few audiences, two mints more each.
    with under_load("rotated password", fleet, verdicts, most=8):
        server.ask("ACL", "SETUSER", USER, ">rotated")
        fleet.password_file.write_text("rotated")
        server.ask(*user("rotated"))
        # Those who have logged in stay so.
        server.ask("CLIENT", "KILL", "USER", USER)
    with contextlib.suppress(RuntimeError):
        fleet.wait_for_store(5)
    with under_load("since the rotation", fleet, verdicts):
        pass


def slow_server(_, program, executable, place, verdicts):
    """One server whose answers come late: a cold request waits for one of them."""
    port, = free_ports(1)
    with Server(program, place, "server", port) as server:
        server.ask(*user(PASSWORD))
        for milliseconds in (0, 100, 240):
            extra = cold_requests(executable, place / f"fleet-{milliseconds}", port, milliseconds / 1000)
            most = milliseconds + 50
            verdicts.require(f"{milliseconds} ms: a cold request's more", extra <= most, f"{extra:.0f} ms",
                             f", where {most} ms at most are expected")


def cold_requests(executable, place, port, seconds, count=7):
    """How many milliseconds beyond the tenant's the median of some takes."""
    with Slow(port, seconds) as slow, Fleet(executable, place, url("redis", f"{HOST}:{slow.port}"), count=1) as fleet:
        fleet.wait_for_store()
        request(fleet.brokers[0], fleet.fresh())  # connects to the tenant
        answers = [request(fleet.brokers[0], fleet.fresh()) for _ in range(count)]
        if errors := [answer.error for answer in answers if answer.error]:
            raise RuntimeError(errors[0])
        return 1000 * (statistics.median(answer.seconds for answer in answers) - fleet.tenant.seconds)


def cluster(module, program, executable, place, verdicts):
    """A cluster of three primaries, each with a replica. The brokers are told one node."""
    with Cluster(program, place) as nodes:
        nodes.ask_all_nodes(*user(PASSWORD))
        first = nodes.replicas[0]
        with Fleet(executable, place / "fleet", url("redis", f"{HOST}:{first.port}")) as fleet:
            with contextlib.suppress(RuntimeError):
                fleet.wait_for_store()
            with under_load("calm", fleet, verdicts):
                pass
            with under_load("CLUSTER FAILOVER", fleet, verdicts, most=1):
                nodes.fail_over(0)
                nodes.wait_until_sound()
            with under_load("a slot migration", fleet, verdicts, rate=30):
                # So many slots that some of the new tokens are among them.
                module.migrate(nodes, *nodes.primaries[:2], range(500), lambda: time.sleep(1))
                nodes.wait_until_sound()
            with under_load("a killed primary", fleet, verdicts, most=5):
                killed = nodes.primaries[2]
                nodes.kill_primary(2)
                nodes.wait_until_sound()
            with under_load("it is back, and primary again", fleet, verdicts, most=1):
                killed.start()
                killed.ask(*user(PASSWORD))
                nodes.wait("replica that was a primary", killed.is_synchronized)
                nodes.wait_until_sound()
                nodes.fail_over(2)
                nodes.wait_until_sound()
            with under_load("FLUSHALL of a primary", fleet, verdicts, most=1):
                nodes.primaries[1].ask("FLUSHALL")
            restored(nodes.primaries, fleet, verdicts, "FLUSHALL of a primary")


@contextlib.contextmanager
def heard(server, *command):
    """A list of what a server sends after a command, each with its time."""
    messages = []

    def listen():
        with contextlib.suppress(OSError):
            while True:
                message = connection.read()
                messages.append((time.monotonic(), message))

    with Connection(server.port) as connection:
        connection.socket.settimeout(60)
        connection.ask(*command)
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield messages
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)
        thread.join()


def planned_failover(_, program, executable, place, verdicts):
    """Three Sentinels, and SENTINEL FAILOVER."""
    fail_over(program, executable, place, verdicts, Sentinels.fail_over)


def killed_primary(_, program, executable, place, verdicts):
    """Three Sentinels, and a primary that is killed."""
    fail_over(program, executable, place, verdicts, Sentinels.kill_primary)


def fail_over(program, executable, place, verdicts, how):
    """Soon after the first Sentinel has told of the switch there is one mint for each audience, and nothing goes to the
    old primary."""
    with Sentinels(program, place) as sentinels, contextlib.ExitStack() as stack:
        for server in sentinels.servers:
            server.ask(*user(PASSWORD))
        store = f"{url('redis+sentinel', sentinels.addresses)}/{sentinels.name}"
        fleet = stack.enter_context(Fleet(executable, place / "fleet", store))
        told = [stack.enter_context(heard(each, "SUBSCRIBE", "+switch-master")) for each in sentinels.sentinels]
        old, new = sentinels.servers
        commands = stack.enter_context(heard(old, "MONITOR"))

        def known():
            return min(messages[0][0] for messages in told if messages) + SOON

        with under_load("before", fleet, verdicts):
            pass
        with under_load("soon after the switch", fleet, verdicts, since=known):
            how(sentinels)
            time.sleep(SOON + 1)
        # What the old primary is sent as the replica that it becomes comes from the new one.
        last = [
            at - known() for at, text in commands
            if at > known() and "token-broker:" in text and f"{HOST}:{new.port}]" not in text
        ]
        verdicts.require(
            "sent to the old primary since then", not last, len(last), f", the last {max(last, default=0):.1f} s later")
