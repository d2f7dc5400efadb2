-- Asks the broker for the token that haproxy.cfg adds to a request.

local broker = "http://127.0.0.1:8080/forward-auth/https%3A%2F%2Fapi.example.com%2F"

core.register_action("token", { "http-req" }, function(txn)
  local response = core.httpclient():get({
    url = broker,
    timeout = 10000,
    headers = {
      ["host"] = { "localhost" },
      ["authorization"] = { "Bearer tb_REPLACE_ME" },
      ["x-request-id"] = { txn.sf:unique_id() },
    },
  })
  local fields = response.headers or {}
  if response.status == 200 and fields["authorization"] then
    txn:set_var("txn.token", fields["authorization"][0])
  elseif fields["retry-after"] then
    txn:set_var("txn.retry_after", fields["retry-after"][0])
  end
end)
