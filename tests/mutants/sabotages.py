"""Sabotages: each breaks one promise in one place, and names the tests that must notice.

`old` stands exactly once in its file. When the code changes so that it does not, mend the sabotage: do not drop it.
"""

from __future__ import annotations

from tests.mutants.authority import BINDING, LIMITS, VOTES
from tests.mutants.contracts import CONTRACTS
from tests.mutants.durability import EFFECTS, INTAKE, STORES
from tests.mutants.private import PRIVATE
from tests.mutants.record import RECORD
from tests.mutants.waiting import WAITING
from tests.mutants.widening import WIDENING

SABOTAGES = (*INTAKE, *STORES, *EFFECTS, *BINDING, *VOTES, *LIMITS, *WAITING, *RECORD, *WIDENING, *CONTRACTS, *PRIVATE)
