"""Inputs, the batches they form, their repair, and the receipts they end under."""
