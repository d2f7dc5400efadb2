# Varnish adds a token to the requests it passes on; the application behind it needs no code.
#
# It asks the broker first and, with the token, begins anew with the application. It needs vmod header (varnish-modules in
# Debian). Replace the audience, percent-encoded, and the caller's key.

vcl 4.1;

import header;
import std;

backend api {
  .host = "api.example.com";
  .port = "80";
}

backend broker {
  .host = "127.0.0.1";
  .port = "8080";
}

sub vcl_recv {
  if (req.restarts == 0) {
    # A client cannot bring a token along.
    unset req.http.Authorization;
    set req.backend_hint = broker;
    # The body, which the broker does not get, is kept for the application.
    if (req.method != "GET" && req.method != "HEAD" && !std.cache_req_body(1MB)) {
      return (synth(413));
    }
  } else {
    set req.backend_hint = api;
  }
  return (pass);
}

sub vcl_backend_fetch {
  if (bereq.backend == broker) {
    # What the client sent is not for the broker, which takes fewer and shorter fields than Varnish.
    set bereq.method = "GET";
    unset bereq.body;
    set bereq.url = "/forward-auth/https%3A%2F%2Fapi.example.com%2F";
    header.regsub(bereq, "^.*$", "X-Dropped: 1");
    unset bereq.http.X-Dropped;
    set bereq.http.Host = "localhost";
    set bereq.http.X-Request-Id = bereq.xid;
    set bereq.http.Authorization = "Bearer tb_REPLACE_ME";
  }
}

sub vcl_deliver {
  if (req.restarts == 0) {
    if (resp.status == 200 && resp.http.Authorization) {
      set req.http.Authorization = resp.http.Authorization;
      return (restart);
    }
    set req.http.Retry-After = resp.http.Retry-After;
    return (synth(503));
  }
}

sub vcl_synth {
  if (resp.status == 503) {
    if (req.http.Retry-After) {
      set resp.http.Retry-After = req.http.Retry-After;
    }
    synthetic("");
    return (deliver);
  }
}
