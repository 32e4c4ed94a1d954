"""The loop over statistics that add. Knows no model."""

from varmix.iteration.accelerate import Accelerator, Anderson, Backtracking, Plain, Squarem
from varmix.iteration.choices import ACCELERATORS, check_choices
from varmix.iteration.finish import iterate_and_finish
from varmix.iteration.iterate import Outcome, iterate
from varmix.iteration.progress import Progress, Step
from varmix.iteration.runners import Runner, Serial, Threads
from varmix.iteration.scheme import Certificate, Params, Point, Scheme, Stats
from varmix.iteration.starts import Start, Starts, from_every_start
from varmix.iteration.status import Status
from varmix.iteration.stopping import Stopping

__all__ = [
    "ACCELERATORS",
    "Accelerator",
    "Anderson",
    "Backtracking",
    "Certificate",
    "Outcome",
    "Params",
    "Plain",
    "Point",
    "Progress",
    "Runner",
    "Scheme",
    "Serial",
    "Squarem",
    "Start",
    "Starts",
    "Stats",
    "Status",
    "Step",
    "Stopping",
    "Threads",
    "check_choices",
    "from_every_start",
    "iterate",
    "iterate_and_finish",
]
