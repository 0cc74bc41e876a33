"""A server that answers like vLLM 0.32 as far as kilotoken talks to it, with scripted timing and faults.

It exists so that everything above the wire (load generator, metric scraping, supervision, dashboards) can be
tried and tested where no vLLM is installed, and so that failures a real server shows once a week can be had
on request. Its answers are words drawn from the prompt's hash; its metrics count exactly what it sent.
"""

from serving.fake_server.config import FakeServerConfig
from serving.fake_server.fault_script import parse_fault_script, read_fault_script
from serving.fake_server.faults import FaultScript
from serving.fake_server.running import RunningFakeServer
from serving.fake_server.server import serve
from serving.fake_server.timing import Timing

__all__ = [
    "FakeServerConfig",
    "FaultScript",
    "RunningFakeServer",
    "Timing",
    "parse_fault_script",
    "read_fault_script",
    "serve",
]
