-- Sets the method and body that wrk sends, and prints one line of figures at the end.
wrk.method = os.getenv("LOAD_METHOD")
wrk.body = os.getenv("LOAD_BODY")

function done(summary, latency)
   local failed = summary.errors.status + summary.errors.connect + summary.errors.read
      + summary.errors.write + summary.errors.timeout
   print(string.format("FIGURES %d %d %d %d %d", summary.requests, failed, summary.duration,
      latency:percentile(50), latency:percentile(99)))
end
