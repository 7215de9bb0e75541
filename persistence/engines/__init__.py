"""The engines: how what is committed is stored."""
