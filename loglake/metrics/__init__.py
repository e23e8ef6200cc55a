"""The Prometheus end point: what the books, the servers and the machine say, as metrics. `serve` is the process, `definitions` the list."""
