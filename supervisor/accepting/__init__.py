"""How an input comes in: payloads, ingress, tickets, publishing."""
