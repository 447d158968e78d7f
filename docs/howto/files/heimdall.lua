-- Asks `heimdall-proxy serve decision` about each request of HAProxy (2.6 or later, built with Lua).

local SERVICE = "http://127.0.0.1:4456/"
-- Each header that a finalizer may set. What the client sent under these names is removed.
local OWNED = { "x-user" }
-- Fields that tell the service what is asked, and those that would lie about it.
local REPLACED = {
  "x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-for",
  "forwarded", "host", "connection", "content-length", "transfer-encoding", "expect", "upgrade",
}

local function question(txn, fields)
  local headers = {}
  for name, values in pairs(fields) do
    headers[name] = {}
    for index, value in pairs(values) do
      headers[name][#headers[name] + 1] = value
    end
  end
  for _, name in ipairs(REPLACED) do
    headers[name] = nil
  end
  local host = txn.f:req_hdr("host")
  headers["x-forwarded-method"] = { txn.f:method() }
  headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  headers["x-forwarded-host"] = { host }
  headers["x-forwarded-uri"] = { txn.f:url() }
  headers["x-forwarded-for"] = { txn.f:src() }
  headers["host"] = { host }
  return headers
end

core.register_action("heimdall", { "http-req" }, function(txn)
  local client = core.httpclient()
  local answer = client:get({ url = SERVICE, headers = question(txn, txn.http:req_get_headers()), timeout = 5000 })
  if answer and answer.status == 200 then
    for _, name in ipairs(OWNED) do
      txn.http:req_del_header(name)
      for _, value in pairs(answer.headers[name] or {}) do
        if value ~= "" then
          txn.http:req_add_header(name, value)
        end
      end
    end
    return
  end
  -- Whatever is not 200 denies, also when the service cannot be reached.
  local reply = txn:reply({ status = 502 })
  if answer and answer.status >= 300 then
    reply:set_status(answer.status)
    for _, name in ipairs({ "location", "www-authenticate", "content-type" }) do
      for _, value in pairs((answer.headers or {})[name] or {}) do
        reply:add_header(name, value)
      end
    end
    reply:set_body(answer.body or "")
  end
  txn:done(reply)
end, 0)
