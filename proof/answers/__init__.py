"""The proof of answers: who asks hears what came of it, whichever host dies at whichever operation."""
