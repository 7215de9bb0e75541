"""Workers of queued work on hosts that die, freeze and end, seed after seed: order, rate, nothing lost or done twice."""
