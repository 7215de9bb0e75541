"""Ways into a trio run from other threads: what the fronts for asyncio and for programs without a loop stand on."""
