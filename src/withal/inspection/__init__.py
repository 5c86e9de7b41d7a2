"""Inspection: the resources of this process at one moment, and those added since an earlier one.

`take` returns a frozen picture: descriptors, sockets, the tasks of the running loop and where they
wait, transports, servers, timers, threads, child processes and temporary folders. Two pictures can
be compared, so that a test or a service can find what a piece of code has left behind.
"""

from withal.inspection.descriptors import Descriptor, Socket
from withal.inspection.loop import Server, Timer, Transport
from withal.inspection.picture import Picture, take
from withal.inspection.processes import Process
from withal.inspection.tasks import TaskState
from withal.inspection.threads import ThreadState

__all__ = [
    "Descriptor",
    "Picture",
    "Process",
    "Server",
    "Socket",
    "TaskState",
    "ThreadState",
    "Timer",
    "Transport",
    "take",
]
