"""An API that says on standard output what it is asked, and with which Authorization: METHOD PATH AUTHORIZATION.

api_server.py [CERTIFICATE KEY]     the first line is its port
"""

import http.server
import ssl
import sys

FILES = b"""<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:"><d:response><d:href>/</d:href><d:propstat><d:status>HTTP/1.1 200 OK</d:status>
<d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop></d:propstat></d:response></d:multistatus>"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        print(self.command, self.path, self.headers.get("Authorization"), flush=True)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_dav = self.command == "PROPFIND"
        body = FILES if is_dav else b"orders_total 7\n"
        self.send_response(207 if is_dav else 200)
        self.send_header("Content-Type", "application/xml" if is_dav else "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PROPFIND = do_OPTIONS = answer

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
