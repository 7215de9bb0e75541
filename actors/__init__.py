"""The middle floor: the actor that owns one runtime, and the commit channel."""
