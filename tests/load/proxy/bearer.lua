-- Sends each token of a file in turn: wrk -s bearer.lua URL -- FILE PATH [once]
-- With `once` every token is sent a single time; the run must end before the file does.
local file, path, once, requests, at

function init(args)
  path, once, at = args[2], args[3] == "once", 0
  file = io.open(args[1])
  requests = {}
  if not once then
    for token in file:lines() do
      requests[#requests + 1] = wrk.format("GET", path, { Authorization = "Bearer " .. token, Host = "127.0.0.1" })
    end
  end
  head = "GET " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
end

function request()
  if once then
    return head .. file:read("*l") .. "\r\n\r\n"
  end
  at = at % #requests + 1
  return requests[at]
end
