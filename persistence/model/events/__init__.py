"""Events of a journal: their types, their versions, what folds them."""
