"""Asks the broker for a token without end, over TLS with a client certificate, in four ways at once: on a connection that
stays and on a new one for each request, by HTTP/1.1 and by HTTP/2. Prints a line whenever each way has been answered ten
times more. Ends with 1 and the reason at the first failure, with 0 on SIGTERM."""
import os
import signal
import ssl
import sys
import threading

import httpx

url, authority, certificate, key = sys.argv[1:]
answers = {(version, stays): 0 for version in ("HTTP/1.1", "HTTP/2") for stays in (True, False)}
lock = threading.Lock()
printed = 0


def count(way):
    global printed
    with lock:
        answers[way] += 1
        while min(answers.values()) >= 10 * (printed + 1):
            printed += 1
            print("ten more", flush=True)


def ask(version, stays):
    is_second = version == "HTTP/2"
    try:
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
        while True:
            with httpx.Client(verify=context, http1=not is_second, http2=is_second, timeout=20) as client:
                while True:
                    answer = client.get(url)
                    if answer.status_code != 200 or answer.http_version != version:
                        raise RuntimeError(f"{answer.status_code} by {answer.http_version}")
                    count((version, stays))
                    if not stays:
                        break
    except (httpx.HTTPError, ssl.SSLError, OSError, RuntimeError) as error:
        print(f"failed: {version}, {'kept' if stays else 'new'} connection: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for way in answers:
    threading.Thread(target=ask, args=way, daemon=True).start()
while True:
    signal.pause()
