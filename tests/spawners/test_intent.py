"""What the hub means to have is hard to guess, and recognised as a secret wherever it is written."""

from __future__ import annotations

from shopfloor_jobs.masking import mask
from shopfloor_spawners.intent import new_nonce


def test_a_nonce_is_new_each_time_and_masked_wherever_it_stands():
    nonces = {new_nonce() for _ in range(500)}
    assert len(nonces) == 500
    assert not [nonce for nonce in nonces if nonce in mask(f"the nonce is {nonce}")]
