"""Servers of Redis and Valkey: one alone, a cluster, Sentinels over a primary and a replica; and a slow way to one."""

import contextlib
import queue
import re
import socket
import threading
import time

from processes import Process, write

HOST = "127.0.0.1"


def free_ports(count):
    """So many different ones."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


class Refusal(Exception):
    """An error that a server answers."""


class Connection:
    """Speaks RESP 2 to a server."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def ask(self, *words):
        answer, = self.ask_all([words])
        return answer

    def ask_all(self, commands):
        """The answers to commands that are sent together. Throws the first refusal."""
        text = b""
        for words in commands:
            encoded = [str(word).encode() for word in words]
            text += b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        self.socket.sendall(text)
        answers = [self.read() for _ in commands]
        for answer in answers:
            if isinstance(answer, Refusal):
                raise answer
        return answers

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        match kind:
            case b"+":
                return rest
            case b"-":
                return Refusal(rest)
            case b":":
                return int(rest)
            case b"$":
                return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode(errors="replace")
            case b"*":
                return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        raise ValueError(f"no RESP: {line}")


class Server(Process):
    """One process, with a folder of its own, that keeps nothing on disk."""

    COMMON = ["bind 127.0.0.1", 'save ""', "appendonly no", "repl-diskless-sync-delay 0", "enable-debug-command local"]

    def __init__(self, program, place, name, port, lines=(), role=()):
        folder = place / name
        folder.mkdir(parents=True)
        common = self.COMMON if not role else ["bind 127.0.0.1"]
        lines = [f"port {port}", f"dir {folder}", *common, *lines]
        file = write(folder / "server.conf", "\n".join(lines) + "\n")
        super().__init__(name, [program, file, *role], folder, port=port)

    def ask(self, *words):
        return self.ask_all([words])[0]

    def ask_all(self, commands):
        with Connection(self.port) as connection:
            return connection.ask_all(commands)

    def info(self, name):
        """A field of INFO."""
        return re.search(rf"^{name}:(.*?)\r?$", self.ask("INFO"), re.M)[1]

    def kill(self):
        """Ends it in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(10)

    def end(self):
        """At once: what it holds is not needed, and a replica is not waited for."""
        if self.process:
            self.kill()

    def is_synchronized(self):
        """Whether it is a replica that has all of its primary's data."""
        return self.info("role") == "slave" and self.info("master_link_status") == "up"


class Servers(contextlib.ExitStack):
    """Several servers, all of which end when a `with` is left."""

    @staticmethod
    def wait(what, find, seconds=30):
        return eventually(what, find, seconds)


def eventually(what, find, seconds=30):
    """What `find` returns, as soon as that is something. A server that is not there yet, or refuses, is asked again."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            if found := find():
                return found
        except (Refusal, OSError) as error:
            last = error
        time.sleep(0.02)  # There is no event for it.
    raise RuntimeError(f"no {what} within {seconds} s ({last})")


class Node(Server):
    """A member of a cluster."""

    SLOTS = 16384

    def __init__(self, program, place, name, port, bus_port, timeout):
        self.bus_port = bus_port
        super().__init__(program, place, name, port, [
            "cluster-enabled yes", f"cluster-port {bus_port}", f"cluster-node-timeout {timeout}",
            "cluster-require-full-coverage no", "cluster-config-file nodes.conf",
        ])

    def start(self):
        super().start()
        self.id = self.ask("CLUSTER", "MYID")



class Cluster(Servers):
    """Primaries, each with a third of the slots, and a replica of each."""

    def __init__(self, program, place, primaries=3, timeout=2000):
        super().__init__()
        ports = free_ports(primaries * 4)
        self.nodes = [
            Node(program, place, f"node-{number}", *ports[2 * number:2 * number + 2], timeout)
            for number in range(2 * primaries)
        ]
        self.primaries, self.replicas = self.nodes[:primaries], self.nodes[primaries:]

    def __enter__(self):
        with contextlib.ExitStack() as stack:  # ends those that have started if one does not
            for node in self.nodes:
                stack.enter_context(node)
            self.form()
            self.push(stack.pop_all().__exit__)
        return self

    def form(self):
        share = -(-Node.SLOTS // len(self.primaries))
        for number, node in enumerate(self.primaries):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, min(Node.SLOTS, (number + 1) * share) - 1)
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", HOST, node.port, node.bus_port)
        self.wait("cluster whose nodes all know each other", lambda: all(
            node.ask("CLUSTER", "INFO").find(f"cluster_known_nodes:{len(self.nodes)}\r") > 0 for node in self.nodes))
        for primary, replica in zip(self.primaries, self.replicas):
            self.wait("primary that its replica knows", lambda: replica.ask("CLUSTER", "REPLICATE", primary.id))
        self.wait_until_sound()

    def wait_until_sound(self):
        """Until each node that lives knows the same primary for each slot, and each replica is synchronized."""
        try:
            self.wait("cluster that is sound", lambda: not self.fault())
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {self.fault()}") from None

    def fault(self):
        """Why it is not sound, if it is not."""
        living = [node for node in self.nodes if node.process.poll() is None]
        views = [
            sorted((first, last, primary[1]) for first, last, primary, *_ in node.ask("CLUSTER", "SLOTS"))
            for node in living
        ]
        covered = sum(last - first + 1 for first, last, _ in views[0])
        if covered != Node.SLOTS or any(view != views[0] for view in views):
            return f"the slots are {views}"
        for node in living:
            if "cluster_state:ok" not in (state := node.ask("CLUSTER", "INFO")):
                return f"{node.name} says {state}"
            if node.info("role") == "slave" and not node.is_synchronized():
                return f"{node.name} is not synchronized"

    def ask_all_nodes(self, *words):
        for node in self.nodes:
            node.ask(*words)

    def fail_over(self, number):
        """A replica and its primary change places, as an administrator has them do."""
        def is_primary():
            return self.replicas[number].info("role") == "master"

        def has_changed():
            """The answer is OK at once; on a busy machine nothing may come of it in the five seconds that it has."""
            self.replicas[number].ask("CLUSTER", "FAILOVER")
            with contextlib.suppress(RuntimeError):
                return eventually("failover", is_primary, 6)

        self.wait("failover", has_changed)
        self.swap(number)

    def kill_primary(self, number):
        """Until its replica has taken its place."""
        self.primaries[number].kill()
        self.wait("election of the replica", lambda: self.replicas[number].info("role") == "master")
        self.swap(number)

    def swap(self, number):
        self.primaries[number], self.replicas[number] = self.replicas[number], self.primaries[number]


def migrate_by_keys(cluster, source, target, slots, during):
    """Slots change their primary key by key, as `redis-cli --cluster reshard` does it. `during` is called while each of
    them is in two places."""
    target.ask_all(["CLUSTER", "SETSLOT", slot, "IMPORTING", source.id] for slot in slots)
    source.ask_all(["CLUSTER", "SETSLOT", slot, "MIGRATING", target.id] for slot in slots)
    during()

    def move_keys(slots):
        for keys in source.ask_all(["CLUSTER", "GETKEYSINSLOT", slot, 1000] for slot in slots):
            if keys:
                source.ask("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)

    def is_given_up(slot):
        """A key that comes or runs out meanwhile is refused to be left behind."""
        try:
            return source.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)
        except Refusal:
            move_keys([slot])
            raise

    move_keys(slots)
    during()
    others = [node for node in cluster.primaries if node not in (target, source)]
    for slot in slots:
        target.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)
        eventually("slot without keys", lambda: is_given_up(slot))
        for node in others:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)


class Sentinels(Servers):
    """Three of them over a primary with one replica. `name` is what they call it."""

    name = "tokens"

    def __init__(self, program, place):
        super().__init__()
        *ports, first, second = free_ports(5)
        self.servers = [
            Server(program, place, "primary", first),
            Server(program, place, "replica", second, [f"replicaof {HOST} {first}"]),
        ]
        self.sentinels = [
            Server(program, place, f"sentinel-{port}", port, [
                f"sentinel monitor {self.name} {HOST} {first} 2",
                f"sentinel down-after-milliseconds {self.name} 1000",
                f"sentinel failover-timeout {self.name} 2000",
            ], role=["--sentinel"]) for port in ports
        ]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self.wait("replica that is synchronized", self.servers[1].is_synchronized)
            for sentinel in self.sentinels:
                stack.enter_context(sentinel)
            self.wait("Sentinels that know all", self.are_sure)
            self.push(stack.pop_all().__exit__)
        return self

    @property
    def addresses(self):
        return ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)

    def primary(self):
        """Which server a Sentinel says it is."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        return next(server for server in self.servers if server.port == int(port))

    def are_sure(self):
        """Whether each knows the others and a replica that can be promoted."""
        for sentinel in self.sentinels:
            sentinel.ask("SENTINEL", "CKQUORUM", self.name)
            others = sentinel.ask("SENTINEL", "SENTINELS", self.name)
            replicas = [fields(each) for each in sentinel.ask("SENTINEL", "REPLICAS", self.name)]
            if len(others) != 2 or not any(
                each["flags"] == "slave" and each["master-link-status"] == "ok" for each in replicas):
                return False
        return True

    def fail_over(self):
        """Planned. Returns when the other server is the primary; the old one learns of it some ten seconds later."""
        old = self.primary()
        self.wait("agreement to fail over", lambda: self.sentinels[0].ask("SENTINEL", "FAILOVER", self.name))
        self.wait("switch", lambda: self.primary() is not old)

    def kill_primary(self):
        """Returns when the other server is the primary."""
        old = self.primary()
        old.kill()
        self.wait("switch", lambda: self.primary() is not old)


def fields(flat):
    """A dictionary of what Sentinels answer as a list."""
    return dict(zip(flat[::2], flat[1::2]))


class Slow:
    """Passes on what is sent to a server at once, and each answer so many seconds later."""

    def __init__(self, port, seconds):
        self.target, self.seconds = port, seconds
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in (self.listener, *self.sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                front, _ = self.listener.accept()
                back = socket.create_connection((HOST, self.target))
                self.sockets += [front, back]
                for side in (front, back):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.relay(front, back, 0)
                self.relay(back, front, self.seconds)

    @staticmethod
    def relay(source, sink, seconds):
        pieces = queue.SimpleQueue()

        def read():
            with contextlib.suppress(OSError):
                while piece := source.recv(65536):
                    pieces.put((time.monotonic() + seconds, piece))
            pieces.put((0, None))

        def send():
            with contextlib.suppress(OSError):
                while (due := pieces.get())[1]:
                    time.sleep(max(0, due[0] - time.monotonic()))
                    sink.sendall(due[1])
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        for each in (read, send):
            threading.Thread(target=each, daemon=True).start()
