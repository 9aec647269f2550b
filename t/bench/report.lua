-- SPDX-License-Identifier: Apache-2.0
-- One line of what wrk measured: requests, microseconds, p50 and p99 in microseconds, errors.
function done(summary, latency)
    local e = summary.errors
    print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50),
        latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
