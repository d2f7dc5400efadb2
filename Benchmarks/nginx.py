"""nginx, with the same fields and bytes as the broker's answer: the floor that everybody knows.

It says them outright, or keeps them as a cache of an upstream that says them. The field X-Request-Id is either a fixed
text, so that nothing is to be computed for an answer, or drawn at random for each as the broker's is. Bounds are held
against the one that computes nothing.
"""

import os
from pathlib import Path

from peers import Peer, free_port

FIXED_ID = "0123456789abcdef0123456789abcdef"

CONFIGURATION = """
{user}daemon off; pid {directory}/nginx.pid; error_log /dev/null; worker_processes {workers};
events {{ worker_connections 12000; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  proxy_cache_path {directory}/cache keys_zone=tokens:10m;
  server {{
    listen 127.0.0.1:{port} reuseport;{listen}
    add_header Cache-Control no-store; add_header Pragma no-cache; add_header X-Request-Id {request_id};
    location / {{ {location} }}
  }}
  server {{
    listen 127.0.0.1:{upstream};
    location / {{ return 200 '{body}'; }}
  }}
}}
"""

# TLS and HTTP/2 beside it. Tickets resume sessions by default; TLS 1.3 is not among 1.22's defaults.
SECURE = """
    listen 127.0.0.1:{tls_port} ssl reuseport; ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};
    ssl_protocols TLSv1.2 TLSv1.3;
    listen 127.0.0.1:{http2_port} http2 reuseport;"""


def nginx(
    body: bytes,
    directory: Path,
    *,
    name: str = "nginx",
    draws_id: bool = False,
    caching: bool = False,
    tls: tuple[Path, Path] | None = None,
    core: int | None = None,
) -> Peer:
    port, upstream = free_port(), free_port()
    tls_port, http2_port = (free_port(), free_port()) if tls else (None, None)
    location = f"return 200 '{body.decode()}';"
    if caching:
        location = f"proxy_pass http://127.0.0.1:{upstream}; proxy_cache tokens; proxy_cache_valid 200 1h;"
    directory = directory / f"nginx-{port}"
    directory.mkdir()
    configuration = directory / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            directory=directory, port=port, upstream=upstream, body=body.decode(), location=location,
            request_id="$request_id" if draws_id else FIXED_ID,
            listen=SECURE.format(tls=tls, tls_port=tls_port, http2_port=http2_port) if tls else "",
            # As many as it has cores, as the broker has event loops.
            workers=1 if core is not None else len(os.sched_getaffinity(0)),
            # Started as root, its workers would be someone who may not enter the directory.
            user="user root; " if os.geteuid() == 0 else "",
        )
    )
    command = ["nginx", "-e", "/dev/null", "-c", str(configuration)]
    return Peer(name, command, port, tls_port=tls_port, http2_port=http2_port, core=core)
