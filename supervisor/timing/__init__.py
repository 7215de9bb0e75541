"""What a host does because a time has come: deadlines, delayed inputs, schedules, runs that were put aside."""
