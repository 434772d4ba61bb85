-- The load, for wrk: `-- REQUESTS FIRST ONCE NUMBER`. REQUESTS is a file with a request on each line: method, path, cookie,
-- content type and body, with tabs between them. They are sent in turn from the line FIRST on, around and around, or
-- once each when ONCE is "once". `{n}` in a body becomes a number that no other request has, counted from NUMBER.
local lines, at, once, number = {}, 0, false, 0

function init(args)
  local function headers(cookie, type)
    local all = { Host = wrk.host .. ":" .. wrk.port }
    if cookie ~= "" then all["Cookie"] = cookie end
    if type ~= "" then
      all["Content-Type"] = type
      all["Origin"] = "http://" .. wrk.host .. ":" .. wrk.port
    end
    return all
  end
  for line in io.lines(args[1]) do
    local method, path, cookie, type, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    if body == "" then body = nil end
    local numbered = body ~= nil and body:find("{n}", 1, true) ~= nil
    lines[#lines + 1] = { method, path, headers(cookie, type), body, numbered }
  end
  at, once, number = tonumber(args[2]), args[3] == "once", tonumber(args[4])
  for _, it in ipairs(lines) do
    -- Put together now: what wrk does between two requests is time that the server waits.
    if not it[5] then it.ready = wrk.format(it[1], it[2], it[3], it[4]) end
  end
  if #lines == 1 and not lines[1][5] then
    -- One request only: wrk repeats its own, which is quicker than asking this script.
    wrk.method, wrk.path, wrk.headers, wrk.body = unpack(lines[1], 1, 4)
    request = nil
  end
end

function request()
  at = at + 1
  if at > #lines then
    if once then
      wrk.thread:stop()
      at = #lines
    else
      at = 1
    end
  end
  local it = lines[at]
  if it.ready then return it.ready end
  number = number + 1
  return wrk.format(it[1], it[2], it[3], (it[4]:gsub("{n}", string.format("%d", number))))
end

-- Microseconds. A redirect counts as an answer, everything from 400 on as an error.
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout, e.status, latency:percentile(50), latency:percentile(99), summary.bytes))
end
