-- Asks the broker for the token that apache.conf adds to a request.

local http = require "socket.http"

local broker = "http://127.0.0.1:8080/forward-auth/https%3A%2F%2Fapi.example.com%2F"
http.TIMEOUT = 10

function token(r)
  local _, status, fields = http.request({
    url = broker,
    headers = {
      ["authorization"] = "Bearer tb_REPLACE_ME",
      ["x-request-id"] = r.subprocess_env["UNIQUE_ID"],
    },
  })
  if status == 200 and fields["authorization"] then
    r.headers_in["Authorization"] = fields["authorization"]
    -- A client cannot have it left out by naming it here.
    r.headers_in["Connection"] = nil
    return apache2.DECLINED
  end
  if type(fields) == "table" and fields["retry-after"] then
    r.err_headers_out["Retry-After"] = fields["retry-after"]
  end
  return 503
end
