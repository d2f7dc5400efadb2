"""Compares the broker's cached answer with nginx's `return 200` of the same bytes.

Both run on loopback with as many workers as there are cores, in interleaved rounds, under wrk with 1, 64 and 512
connections. What is printed are medians, and ratios of the broker to nginx: absolute figures say more about the machine.
Usage: bench.py BROKER [ROUNDS]
"""

import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

AUDIENCE = "https%3A%2F%2Fapi.example.com%2F"
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url):
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read(), answer.headers
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class Peer:
    """A server under test: its processes and where it answers."""

    def __init__(self, name, url, process):
        self.name, self.url, self.process = name, url, process

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def cpu_seconds(self):
        """User and system time of all its processes."""
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def resident_kib(self):
        total = 0
        for pid in self.pids():
            total += int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))
        return total

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def start_broker(executable):
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "BROKER_LISTEN": f"127.0.0.1:{port}",
        "BROKER_ADMIN_LISTEN": "off",
        "BROKER_LOG_LEVEL": "error",
    }
    started = time.monotonic()
    process = subprocess.Popen([executable, "dev"], env=environment, stdout=subprocess.DEVNULL)
    wait_for(f"http://127.0.0.1:{port}/healthz")
    print(f"start to first answer, with the tenant's keys to make: {1000 * (time.monotonic() - started):.0f} ms")
    return Peer("broker", f"http://127.0.0.1:{port}/token/{AUDIENCE}", process)


def start_nginx(body, directory):
    port = free_port()
    configuration = directory / "nginx.conf"
    # The same fields and bytes as the broker's answer.
    configuration.write_text(
        f"""
        daemon off; pid {directory}/nginx.pid; error_log /dev/null; worker_processes auto;
        events {{ worker_connections 4096; }}
        http {{
          access_log off; keepalive_requests 1000000000; default_type application/json;
          server {{
            listen 127.0.0.1:{port} reuseport;
            location / {{
              add_header Cache-Control no-store; add_header Pragma no-cache; add_header X-Request-Id $request_id;
              return 200 '{body}';
            }}
          }}
        }}
        """
    )
    process = subprocess.Popen(["nginx", "-c", str(configuration)], stderr=subprocess.DEVNULL)
    wait_for(f"http://127.0.0.1:{port}/")
    return Peer("nginx", f"http://127.0.0.1:{port}/token/{AUDIENCE}", process)


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1}


def load(peer, connections, seconds):
    before = peer.cpu_seconds()
    output = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", peer.url],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"{peer.name}: {output}")
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
    quantiles = {
        name: float(number) * UNITS[unit]
        for name, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", output)
    }
    return {
        "requests/s": rate,
        "CPU/request": (peer.cpu_seconds() - before) / requests,
        "p50": quantiles["50"],
        "p99": quantiles["99"],
    }


def main():
    executable, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 7
    peers = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            broker = start_broker(executable)
            peers.append(broker)
            body, _ = wait_for(broker.url)
            nginx = start_nginx(body.decode(), pathlib.Path(directory))
            peers.append(nginx)
            print(f"resident at rest, the tenant in it: broker {broker.resident_kib()} KiB, nginx {nginx.resident_kib()} KiB")
            print(f"{'connections':>11}  {'figure':<12} {'broker / nginx':>14}  (medians of {rounds} interleaved rounds)")
            for connections in (1, 64, 512):
                results = {peer.name: [] for peer in peers}
                for _ in range(rounds):
                    for peer in peers:
                        results[peer.name].append(load(peer, connections, 2))
                for figure in results["broker"][0]:
                    medians = {name: statistics.median(r[figure] for r in rows) for name, rows in results.items()}
                    print(f"{connections:>11}  {figure:<12} {medians['broker'] / medians['nginx']:>14.2f}")
            print(f"resident after load: broker {broker.resident_kib()} KiB, nginx {nginx.resident_kib()} KiB")
        finally:
            for peer in peers:
                peer.stop()


if __name__ == "__main__":
    main()
