"""How named statements are executed: their values by place, and many rows by one statement."""
