"""PynamoDB on the event loop, with an HTTP client, signatures and retries of its own.

docs/dynamodb-transport.md explains how a call travels and how to maintain it.
"""
