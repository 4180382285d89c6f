-- What wrk sends, and what it prints at the end: one line of figures.
wrk.method = os.getenv("LOAD_METHOD")
wrk.body = os.getenv("LOAD_BODY")
wrk.headers["Content-Type"] = os.getenv("LOAD_CONTENT_TYPE")
wrk.headers["If-Match"] = os.getenv("LOAD_IF_MATCH")

function done(summary, latency)
   local failed = summary.errors.status + summary.errors.connect + summary.errors.read
      + summary.errors.write + summary.errors.timeout
   print(string.format("FIGURES %d %d %d %d %d", summary.requests, failed, summary.duration,
      latency:percentile(50), latency:percentile(99)))
end
