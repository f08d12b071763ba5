"""The common harness of the fault tests: a stack, a load on it, and what must hold afterwards.

A test of a fault is::

    async with fault_stack(folder) as stack, Load(stack) as load:
        await load.answered(80)
        ...  # the fault
        await load.answered(80)
        await check_everything(load)
"""

from tests.faults.harness.caller import BROKEN, UNSENT, Answer, Caller
from tests.faults.harness.checks import check_everything
from tests.faults.harness.kills import Killer
from tests.faults.harness.load import Load
from tests.faults.harness.mails import check_mails, kept
from tests.faults.harness.mix import KINDS, Record
from tests.faults.harness.quiet import check_quiet
from tests.faults.harness.sockets import Watcher
from tests.faults.harness.stack import (
    PROCESSES,
    QUICK,
    Stores,
    check_ready,
    fault_stack,
    generations,
    stores_of,
)
from tests.faults.harness.waiting import DEADLINE, until

__all__ = [
    "BROKEN",
    "DEADLINE",
    "KINDS",
    "PROCESSES",
    "QUICK",
    "UNSENT",
    "Answer",
    "Caller",
    "Killer",
    "Load",
    "Record",
    "Stores",
    "Watcher",
    "check_everything",
    "check_mails",
    "check_quiet",
    "check_ready",
    "fault_stack",
    "generations",
    "kept",
    "stores_of",
    "until",
]
