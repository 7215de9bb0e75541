"""The console: a store in a browser, for who is awake at night.

Pages are made by the server, from the same reads as the command line; one script keeps them up to date and takes the keys.
Nothing is fetched from another place. It is read-only unless verbs are allowed, and all that comes from agents is text.
`application` is an ASGI application of a `Console`; the extra ``console`` has what it needs.
"""
