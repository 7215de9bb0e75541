"""The middle floor: mailbox, the actor that owns one runtime, the commit channel."""
