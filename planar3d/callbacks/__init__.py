"""Lightning callbacks."""

from planar3d.callbacks.dashboard import Dashboard, close_loggers, log_run, log_sweep
from planar3d.callbacks.network_execution import NetworkExecution
from planar3d.callbacks.panel import ValidationPanel
from planar3d.callbacks.throughput import Throughput

__all__ = ["Dashboard", "NetworkExecution", "Throughput", "ValidationPanel", "close_loggers", "log_run", "log_sweep"]
