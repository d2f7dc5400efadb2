#!/usr/bin/env bash
# Guess: java.net.http.HttpClient with an Authenticator asks it once after a 401, sends what it says, and hands over the
#   second 401 as an answer: HttpClient throws when there is no answer, and a status is for the caller to judge.
# Software: Java 17, its own HttpClient: Debian's openjdk-17-jdk-headless (seen with 17.0.15+6-1~deb12u1).
# Behaviour: a refused password is sent four times by each call, the same each time, and the Authenticator is asked four
#   times; then send() throws "too many authentication attempts", so neither the 401 nor its body can be had. The next
#   call begins anew. Whoever counts wrong passwords counts four, of a caller that believes to have asked once. The
#   limit is the undocumented property jdk.httpclient.auth.retrylimit; with 1 a password is sent twice.
# Seen, of two calls with a password that the server refuses:
#   no property     each: 5 requests, 4 with the password, Authenticator asked 4 times
#                   java.io.IOException: too many authentication attempts. Limit: 3
#   retrylimit=1    each: 3 requests, 2 with the password, Authenticator asked 2 times
#                   java.io.IOException: too many authentication attempts. Limit: 1
# Needs: java and its compiler, 17.
set -euo pipefail

if [[ $(java --version 2> /dev/null) != "openjdk 17."* ]] || ! command -v javac > /dev/null; then
  echo "NOT RUN: this needs OpenJDK 17 with its compiler (openjdk-17-jdk-headless)" >&2
  exit 75
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/Caller.java" << 'JAVA'
import java.net.Authenticator;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

class Caller {
  static int asked = 0;

  public static void main(String[] arguments) throws Exception {
    var client = HttpClient.newBuilder().authenticator(new Authenticator() {
      @Override
      protected PasswordAuthentication getPasswordAuthentication() {
        asked += 1;
        return new PasswordAuthentication("caller", "wrong".toCharArray());
      }
    }).build();
    var form = HttpRequest.BodyPublishers.ofString("grant_type=client_credentials");
    for (var call = 0; call < 2; call++) {
      asked = 0;
      String outcome;
      try {
        var request = HttpRequest.newBuilder(URI.create(arguments[0])).POST(form).build();
        outcome = "status " + client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
      } catch (java.io.IOException error) {
        outcome = error.toString();
      }
      System.out.println(asked + " " + outcome);
    }
  }
}
JAVA

cd "$folder"
timeout 60 javac Caller.java
timeout 60 python3 - << 'PYTHON'
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

received = []


class Server(BaseHTTPRequestHandler):
    """Refuses everybody, and challenges for Basic."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        received.append(self.headers["Authorization"])
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="tokens"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # Java ends by resetting its connections.


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()

version = subprocess.run(["java", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()
print(version[1])
changed = False
for options, limit in ([], 3), (["-Djdk.httpclient.auth.retrylimit=1"], 1):
    received.clear()
    command = ["java", *options, "-cp", ".", "Caller", f"http://127.0.0.1:{server.server_port}/token"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    passwords = [field for field in received if field]
    print(f"{options}: {len(received)} requests, {len(passwords)} with the password, by 2 calls:")
    for line in lines:
        asked, outcome = line.split(" ", 1)
        print(f"  Authenticator asked {asked} times: {outcome}")
    expected = f"{limit + 1} java.io.IOException: too many authentication attempts. Limit: {limit}"
    changed |= lines != [expected] * 2 or len(passwords) != 2 * (limit + 1) or len(received) != 2 * (limit + 2)
    changed |= len(set(passwords)) != 1
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
