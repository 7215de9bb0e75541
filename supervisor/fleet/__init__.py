"""The other hosts: watching them, asking them, answering them."""
