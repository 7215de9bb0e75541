"""AES-256-GCM for the contents of a store (extra ``crypto``).

    codec = tenure.crypto.AesGcm.of_file("agents.keys")
    async with tenure.open_supervisor("agents.db", behaviours=behaviours, seams=tenure.Seams(codec=codec)) as supervisor:

A file of keys has one key a line, ``id base64``, 32 bytes each; the first is the key of today, the others open what they once
sealed. docs/secrets.md has the rest.
"""

from __future__ import annotations

from tenure.persistence.engines.sealing.aes_gcm import AesGcm

__all__ = ["AesGcm"]
