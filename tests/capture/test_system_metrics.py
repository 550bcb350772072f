"""The machine's load is logged while a run lasts, and nothing it meets stops the run."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from exptrack import Archive, InvalidValueError, Run
from exptrack.capture.system_metrics import SystemSampler, check_interval

USUAL = {
    "system/cpu_percent",
    "system/process_cpu_percent",
    "system/memory_percent",
    "system/memory_used_bytes",
    "system/process_memory_bytes",
    "system/disk_percent",
    "system/disk_free_bytes",
}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def samplers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "exptrack-system"]


def test_a_run_that_asks_logs_the_load_until_its_end(archive: Archive) -> None:
    with archive.start_run(system_metrics=0.02) as run:
        wait_for(lambda: len(run.get_metric("system/cpu_percent")) >= 3)
        assert len(samplers()) == 1
    assert samplers() == []
    found = {metric.name: metric for metric in archive.show_run(run.run_id).metrics}
    assert set(found) >= USUAL
    assert all(name.startswith("system/") for name in found)
    assert found["system/memory_percent"].min is not None
    assert 0 < found["system/memory_percent"].min <= 100
    assert [point.step for point in run.get_metric("system/cpu_percent")][:3] == [0, 1, 2]
    assert [event.kind for event in run.read_events()] == ["start", "end"]


def test_a_resumed_run_goes_on_with_it(archive: Archive) -> None:
    with archive.start_run(system_metrics=0.02) as first:
        wait_for(lambda: bool(first.get_metric("system/cpu_percent")))
    before = len(first.get_metric("system/cpu_percent"))
    with archive.resume_run(first.run_id, system_metrics=0.02) as again:
        wait_for(lambda: len(again.get_metric("system/cpu_percent")) > before)


def test_nobody_who_does_not_ask_gets_a_thread(archive: Archive) -> None:
    assert (check_interval(True), check_interval(2), check_interval(False)) == (10.0, 2.0, None)
    with archive.start_run():
        assert samplers() == []


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "yes", 1e300])
def test_a_wrong_interval_starts_no_run(archive: Archive, wrong: Any) -> None:
    with pytest.raises(InvalidValueError, match="system_metrics"):
        archive.start_run(system_metrics=wrong)
    assert archive.list_runs() == []


def sampled(live: Run, sensors: Mapping[str, Callable[[], Mapping[str, float]]]) -> SystemSampler:
    return SystemSampler(live.log, live.append_event, folder=".", interval_s=0.01, sensors=sensors)


def test_a_failing_sensor_is_said_once_and_the_others_go_on(archive: Archive) -> None:
    def broken() -> Mapping[str, float]:
        raise OSError("no such sensor")

    with archive.start_run() as live:
        sampler = sampled(live, {"broken": broken, "sound": lambda: {"load": 1.5}})
        wait_for(lambda: len(live.get_metric("system/load")) >= 3)
        sampler.stop()
        (event,) = [event for event in live.read_events() if event.kind == "system_metrics"]
        assert event.data == {"sensor": "broken", "error": "OSError: no such sensor"}


def test_samples_that_cannot_be_logged_are_one_warning(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    with archive.start_run() as live, caplog.at_level(logging.WARNING, "exptrack"):
        samples: list[int] = []

        def wrong() -> Mapping[str, float]:
            samples.append(1)
            return {"name\n": 1.0}

        sampler = sampled(live, {"wrong": wrong})
        wait_for(lambda: len(samples) >= 5)
        sampler.stop()
        (told,) = caplog.records
        assert "no system metrics" in told.message


def test_the_thread_ends_when_the_run_is_ended_elsewhere(archive: Archive) -> None:
    live = archive.start_run()
    sampler = sampled(live, {"sound": lambda: {"load": 1.5}})
    live.complete()
    wait_for(lambda: samplers() == [])
    sampler.stop()


def test_a_forked_child_does_not_sample(archive: Archive) -> None:
    with archive.start_run(system_metrics=0.01) as live:
        child = os.fork()
        if child == 0:
            assert live._sampler is not None
            live._sampler.stop()
            os._exit(len(samplers()))
        _pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        seen = len(live.get_metric("system/cpu_percent"))
        wait_for(lambda: len(live.get_metric("system/cpu_percent")) > seen)


class FakeNvml(SimpleNamespace):
    """What is asked of NVML, of a machine with two cards, the second without a power meter."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError_LibraryNotFound(Exception):
        pass

    class NVMLError_DriverNotLoaded(Exception):
        pass

    class NVMLError_NotSupported(Exception):
        pass

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=2, total=8)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=50 + handle)

    def nvmlDeviceGetTemperature(self, _handle: int, _kind: int) -> int:
        return 61

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        if handle:
            raise self.NVMLError_NotSupported
        return 250_000


def test_each_gpu_is_sampled(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    with archive.start_run(system_metrics=0.01) as live:
        wait_for(lambda: live.get_last_metric("system/gpu1/percent") is not None)
    last = {name: value for name, value in archive.list_runs()[0].metrics.items() if "gpu" in name}
    assert last == {
        "system/gpu0/percent": 50.0,
        "system/gpu0/memory_percent": 25.0,
        "system/gpu0/memory_used_bytes": 2.0,
        "system/gpu0/temperature_c": 61.0,
        "system/gpu0/power_w": 250.0,
        "system/gpu1/percent": 51.0,
        "system/gpu1/memory_percent": 25.0,
        "system/gpu1/memory_used_bytes": 2.0,
        "system/gpu1/temperature_c": 61.0,
    }


def without_the_library(_nvml: FakeNvml) -> None:
    raise FakeNvml.NVMLError_LibraryNotFound


def with_a_broken_driver(_nvml: FakeNvml) -> None:
    raise OSError("driver mismatch")


@pytest.mark.parametrize(("init", "said"), [(without_the_library, 0), (with_a_broken_driver, 1)])
def test_no_gpu_is_no_event_and_a_broken_one_is_one(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, init: Callable[[FakeNvml], None], said: int
) -> None:
    monkeypatch.setattr(FakeNvml, "nvmlInit", init)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    with archive.start_run(system_metrics=0.01) as live:
        wait_for(lambda: live.get_last_metric("system/cpu_percent") is not None)
    assert len([event for event in live.read_events() if event.kind == "system_metrics"]) == said


def test_a_run_starts_without_samples_where_no_thread_begins(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(SystemSampler, "__init__", refuse)
    with archive.start_run(system_metrics=True) as run:
        run.log({"loss": 1.0})
    assert run.status == "completed"
    assert "can't start new thread" in caplog.text
