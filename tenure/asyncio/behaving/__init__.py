"""Behaviours and steps that are asyncio functions: on the loop of the program, with a way to their run in the trio thread."""
