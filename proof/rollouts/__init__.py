"""Deploys, roll-outs and roll-backs while runs are unfinished, seed after seed: nothing done twice, nothing stuck."""
