"""Log the machine's load as metrics of a run: CPU, memory, disk, network and NVIDIA GPUs, sampled by a thread.

Invariants:

- Sampling never stops the training. The first failure of a sensor becomes an event of the run, and the other
  sensors go on. A sample that cannot be logged becomes a warning.
- The thread ends with its run, does not delay the end of the interpreter, and does not exist in a forked child.
- A fork changes neither the sensors nor the time of the next sample.
- The thread imports psutil and NVML, so starting a run does not wait for them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeAlias

from exptrack.errors import (
    ArchiveClosedError,
    ExptrackError,
    InvalidValueError,
    RunFinishedError,
    RunNotFoundError,
)
from exptrack.plain import short_repr
from exptrack.threads import Worker
from exptrack.validation import check_number

INTERVAL_S = 10.0
SHORTEST_INTERVAL_S = 0.01
FIRST_SAMPLE_S = 1.0  # so that a short run has a sample too
STOP_WAIT_S = 5.0

Sensor: TypeAlias = Callable[[], Mapping[str, float]]


def check_interval(wanted: object) -> float | None:
    """Return the seconds between samples: 10 for True, the number given, None for False or None.

    Raises:
        InvalidTypeError: `wanted` is not a number or a bool.
        InvalidValueError: it is below 0.01, or longer than a thread can wait.
    """
    if wanted is False or wanted is None:
        return None
    if wanted is True:
        return INTERVAL_S
    seconds = check_number(wanted, "system_metrics")
    if not SHORTEST_INTERVAL_S <= seconds <= threading.TIMEOUT_MAX:
        raise InvalidValueError(
            f"system_metrics cannot be {short_repr(wanted)}; give True, False or the seconds between samples,"
            f" at least {SHORTEST_INTERVAL_S}"
        )
    return seconds


class SystemSampler:
    """Log the machine's load at an interval, in a thread, until ``stop()``.

    `log` takes the values of one sample; `report` takes the kind of an event and its data.
    """

    def __init__(
        self,
        log: Callable[[Mapping[str, float]], None],
        report: Callable[[str, dict[str, Any]], None],
        *,
        folder: str,
        interval_s: float,
        sensors: Mapping[str, Sensor] | None = None,
    ) -> None:
        self._log = log
        self._report = report
        self._folder = folder
        self._interval_s = interval_s
        self._sensors = sensors
        self._failed: set[str] = set()
        self._refused = False  # since a sample could not be logged, of which a warning told
        self._pid = os.getpid()
        self._ready: dict[str, Sensor] | None = None  # from the first readings on
        self._due = 0.0
        self._worker = Worker(self._sample_until_stopped, "exptrack-system")
        if not self._worker.begin():
            raise RuntimeError("the process may begin no more threads; allow it more threads")

    def stop(self) -> None:
        """Take no more samples; waits up to 5 s for a sample that is being logged."""
        if self._pid != os.getpid():
            return  # a forked child does not have the thread, and its copy of the locks may be held for ever
        self._worker.stop(STOP_WAIT_S)

    def _sample_until_stopped(self) -> None:
        try:
            if self._ready is None:
                self._ready = dict(self._machine() if self._sensors is None else self._sensors)
                # Percentages and rates cover the time since the previous reading, so the first has none.
                for name, sensor in self._ready.items():
                    self._read(name, sensor)
                self._due = time.monotonic() + min(self._interval_s, FIRST_SAMPLE_S)
            while not self._worker.wait(self._due - time.monotonic()):
                self._due = time.monotonic() + self._interval_s
                self._log_one(self._ready)
        except (RunFinishedError, RunNotFoundError, ArchiveClosedError):
            # Another thread ended the run or closed the archive: there is nothing left to sample for.
            self._worker.stop()

    def _log_one(self, sensors: Mapping[str, Sensor]) -> None:
        values: dict[str, float] = {}
        for name, sensor in sensors.items():
            values.update(self._read(name, sensor))
        if self._worker.has_to_end or not values:
            return
        try:
            self._log({f"system/{name}": value for name, value in values.items()})
            self._refused = False
        except (RunFinishedError, RunNotFoundError, ArchiveClosedError):
            raise
        except ExptrackError as error:
            if not self._refused:
                self._refused = True
                _warn("no system metrics: %s", error)

    def _read(self, name: str, sensor: Sensor) -> Mapping[str, float]:
        try:
            return sensor()
        except Exception as error:
            self._say_once(name, error)
            return {}

    def _say_once(self, name: str, error: Exception) -> None:
        if name in self._failed:
            return
        self._failed.add(name)
        try:
            self._report("system_metrics", {"sensor": name, "error": f"{type(error).__name__}: {error}"[:1000]})
        except (RunNotFoundError, ArchiveClosedError):
            raise
        except ExptrackError as failure:
            _warn("sensor %s failed (%s), which could not be recorded: %s", name, error, failure)

    def _machine(self) -> dict[str, Sensor]:
        """Return the sensors of this machine, by name."""
        sensors: dict[str, Sensor] = {}
        try:
            sensors = _psutil_sensors(self._folder)
        except Exception as error:  # without /proc, psutil does not even know this process
            self._say_once("machine", error)
        try:
            sensors |= _gpu_sensors()
        except Exception as error:
            self._say_once("gpu", error)
        return sensors


def _warn(message: str, *facts: object) -> None:
    import logging

    logging.getLogger("exptrack").warning(message, *facts)


class _Rates:
    """Turn counters into rates since the previous call; the first call returns none."""

    def __init__(self, counters: Callable[[], Mapping[str, float]]) -> None:
        self._counters = counters
        self._at = 0.0
        self._before: Mapping[str, float] = {}

    def __call__(self) -> dict[str, float]:
        now, after = time.monotonic(), self._counters()
        elapsed = max(now - self._at, 1e-9)
        rates = {name: (after[name] - count) / elapsed for name, count in self._before.items() if name in after}
        self._at, self._before = now, after
        return rates


def _psutil_sensors(folder: str) -> dict[str, Sensor]:
    import psutil

    process = psutil.Process()

    def cpu() -> dict[str, float]:
        return {"cpu_percent": psutil.cpu_percent(None), "process_cpu_percent": process.cpu_percent(None)}

    def memory() -> dict[str, float]:
        whole = psutil.virtual_memory()
        return {
            "memory_percent": whole.percent,
            "memory_used_bytes": whole.total - whole.available,
            "process_memory_bytes": process.memory_info().rss,
        }

    def disk() -> dict[str, float]:
        usage = psutil.disk_usage(folder)
        return {"disk_percent": usage.percent, "disk_free_bytes": usage.free}

    def disk_counters() -> dict[str, float]:
        # psutil returns None on a machine without disks of its own, such as a container.
        counters = psutil.disk_io_counters()
        if counters is None:
            return {}
        return {
            "disk_read_bytes_per_s": counters.read_bytes,
            "disk_written_bytes_per_s": counters.write_bytes,
        }

    def network_counters() -> dict[str, float]:
        counters = psutil.net_io_counters()
        if counters is None:
            return {}
        return {
            "network_sent_bytes_per_s": counters.bytes_sent,
            "network_received_bytes_per_s": counters.bytes_recv,
        }

    sensors: dict[str, Sensor] = {
        "cpu": cpu,
        "memory": memory,
        "disk": disk,
        "disk_io": _Rates(disk_counters),
        "network": _Rates(network_counters),
    }
    return sensors


def _gpu_sensors() -> dict[str, Sensor]:
    """Return one sensor for each NVIDIA GPU; none without nvidia-ml-py, its library or a driver."""
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:
        return {}
    try:
        nvml.nvmlInit()
    except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
        return {}
    return {f"gpu{number}": _gpu_sensor(nvml, number) for number in range(nvml.nvmlDeviceGetCount())}


def _gpu_sensor(nvml: Any, number: int) -> Sensor:
    handle = nvml.nvmlDeviceGetHandleByIndex(number)

    def read() -> dict[str, float]:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        found = {
            "percent": nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "memory_percent": 100 * memory.used / memory.total,
            "memory_used_bytes": memory.used,
        }
        with suppress(nvml.NVMLError_NotSupported):
            found["temperature_c"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        with suppress(nvml.NVMLError_NotSupported):
            found["power_w"] = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        return {f"gpu{number}/{name}": value for name, value in found.items()}

    return read
