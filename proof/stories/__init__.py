"""Stories: what each facet writes in the scenario with every kind of commit."""
