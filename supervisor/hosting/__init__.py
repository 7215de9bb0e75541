"""Which runtimes live in this host: takeovers, trials, passivation."""
