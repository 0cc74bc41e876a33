"""When requests are meant to leave: schedules that are made ahead from a seed; no I/O, no clock.

Nothing here looks at the answers. The same seed gives the same arrivals on every machine and however many
processes share them.
"""

from loadtest.arrivals.achieved import AchievedArrivals, achieved_arrivals
from loadtest.arrivals.rate_profile import RateProfile
from loadtest.arrivals.rate_words import format_arrivals, format_rates, parse_arrivals, parse_rates
from loadtest.arrivals.replay import ReplaySchedule, replay_schedule
from loadtest.arrivals.schedule import arrival_blocks, open_arrivals, open_schedule
from loadtest.arrivals.shares import own_share
from loadtest.arrivals.think_time import think_time_s

__all__ = [
    "AchievedArrivals",
    "RateProfile",
    "ReplaySchedule",
    "achieved_arrivals",
    "arrival_blocks",
    "format_arrivals",
    "format_rates",
    "open_arrivals",
    "open_schedule",
    "own_share",
    "parse_arrivals",
    "parse_rates",
    "replay_schedule",
    "think_time_s",
]
