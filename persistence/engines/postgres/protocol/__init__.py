"""What goes over one connection: statements and values as the server takes them, its answers, its errors."""
