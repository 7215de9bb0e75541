"""The parts of `agent_host.py` that read and report, and that know nothing of tenure."""
