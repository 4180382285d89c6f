"""Every limit on what a client may use; docs/overload.md explains them, and a test compares."""

from typing import NamedTuple

# Longer than a request may take, shorter than ECS waits before it kills a container (30 s).
GRACEFUL_STOP_SECONDS = 20


class Limits(NamedTuple):
    """What clients may use of this process; times in seconds, sizes in bytes."""

    # A phone on a bad network needs seconds to send its headers; no client needs longer.
    head_seconds: float = 10
    # The largest body at 7 KB/s.
    body_seconds: float = 20
    # The largest valid task with every character written as a JSON escape is just below this.
    body_bytes: int = 128 * 1024
    # A client that has not read 64 KB of a response by then is too slow.
    write_seconds: float = 30
    # Lets a refused client finish sending and read why it was refused.
    linger_seconds: float = 2
    # Longer than AWS load balancers keep idle connections (60 s); otherwise they would
    # send requests into closed connections.
    idle_seconds: float = 75
    head_bytes: int = 16 * 1024
    head_fields: int = 100
    # What may arrive between a request's headers and its end: the largest body in chunks of a
    # byte, or the rest of a refused body, with trailers and chunk extensions.
    raw_body_bytes: int = 1024 * 1024
    # Requests in progress, unfinished ones included, and unread responses, over all connections.
    held_bytes: int = 64 * 1024 * 1024
    # Lists and counts of names that are read from the store at once, a quarter of them for one
    # workspace; further ones wait for their turn.
    lists: int = 16
    # Items of bulk requests that are written at once, a quarter of them for one workspace; further
    # ones wait for their turn. Half of the connections to DynamoDB stay free for other requests.
    bulk_items: int = 32
    # Requests of one connection that wait for the one before.
    pipelined: int = 16
    # Each needs a file descriptor and some kilobytes.
    connections: int = 4096
    # Of one address, or IPv6 network, while no proxy is trusted.
    connections_per_client: int = 128
    # Additional connections for this host: health checks and Prometheus always get in.
    reserved_connections: int = 64
    # Authorized requests being processed.
    in_flight: int = 256
    # Of one API key, or one address or IPv6 network: a quarter of them, and as many as there are
    # connections to DynamoDB (async_transport.MAX_CONNECTIONS).
    in_flight_each: int = 64
    # Requests that wait for a change: each holds a connection, and no slot in flight.
    waiting: int = 2048
    # Of one API key, or one address or IPv6 network.
    waiting_each: int = 256
    # How often connections are checked, and so how exact the times above are.
    check_interval_seconds: float = 1


LIMITS = Limits()
