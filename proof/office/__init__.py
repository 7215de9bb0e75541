"""An office on two hosts, seed after seed: agents that ask, spawn, wait, rest, are put on hold and erased, while hosts die."""
