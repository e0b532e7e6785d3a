-- For wrk: posts the lines of the file BODIES in turn, with the key KEY; says at the end how many answers were errors.
-- With FRESH, the mark @@ in each text becomes a number of its own, so that no text was ever asked for before.
local bodies = {}
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
local headers = { ["Content-Type"] = "application/json", ["X-API-Key"] = os.getenv("KEY") or "" }
local fresh = os.getenv("FRESH") == "1"
local number = 0
request = function()
  local body = bodies[number % #bodies + 1]
  number = number + 1
  if fresh then body = body:gsub("@@", tostring(number)) end
  return wrk.format("POST", nil, headers, body)
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
