"""File systems that other machines share are known by their names, on every system."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from click.testing import CliRunner

from exptrack import Archive
from exptrack.cli.main import main
from exptrack.database import filesystem
from exptrack.database.filesystem import find_file_system, find_network, warn_of_network

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /home rw shared:5 master:2 - nfs4 server:/home rw,vers=4.2
31 22 0:41 / /scratch rw - lustre 10.0.0.1@o2ib:/scratch rw,flock
32 30 0:42 / /home/ada/my\\040cloud rw - fuse.sshfs ada@host:/ rw
33 22 0:43 / /gpfs rw - gpfs gpfs rw
34 22 0:44 / /beegfs rw - beegfs beegfs_nodev rw
35 22 0:45 / /ceph rw - ceph 10.0.0.2:/ rw
36 22 0:46 / /mnt/win rw - cifs //server/share rw
37 22 0:47 / /mnt/vm rw - 9p share rw
38 22 0:48 / /afs rw - afs AFS rw
39 22 0:49 / /mnt/usb rw - fuseblk /dev/sdb1 rw
40 22 0:50 / /mnt/secret rw - fuse.gocryptfs /x rw
41 22 0:51 / /mnt/any rw - fuse server rw
42 22 8:2 / /scratch/local rw - xfs /dev/sdc rw
43 42 8:3 / /scratch/local rw - btrfs /dev/sdd rw
44 22 0:52 / /mnt/smb rw - smb3 //server/x rw
a line of another form
"""

LINUX = pytest.mark.skipif(not Path(filesystem.MOUNTS).exists(), reason="the table of mounts is Linux's")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table of mounts, in place of the machine's own."""
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    monkeypatch.setattr(filesystem, "MOUNTS", str(path))
    return path


@LINUX
@pytest.mark.usefixtures("table")
def test_the_deepest_and_newest_mount_counts() -> None:
    found = {
        path: find_file_system(path)
        for path in (
            "/",
            "/homes/x.db",
            "/home/x.db",
            "/home",
            "/scratch/local/x.db",
            "/home/ada/my cloud/x.db",
        )
    }
    assert found == {
        "/": "ext4",
        "/homes/x.db": "ext4",
        "/home/x.db": "nfs4",
        "/home": "nfs4",
        "/scratch/local/x.db": "btrfs",
        "/home/ada/my cloud/x.db": "fuse.sshfs",
    }


@LINUX
@pytest.mark.usefixtures("table")
def test_what_other_machines_share() -> None:
    shared = "home scratch gpfs beegfs ceph mnt/win mnt/vm afs mnt/any mnt/smb".split()
    assert [find_network(f"/{name}/lab.db") for name in shared] == (
        ["nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "9p", "afs", "fuse", "smb3"]
    )
    assert [find_network(f"/{name}/lab.db") for name in ("mnt/usb", "mnt/secret", "scratch/local", "tmp")] == [
        ""
    ] * 4


@LINUX
def test_the_mounts_of_this_machine() -> None:
    assert find_file_system("/proc/self/status") == "proc"
    assert find_file_system("/sys") == "sysfs"
    assert find_network("/proc") == ""


@pytest.mark.parametrize(
    ("name", "kind", "options", "expected"),
    [
        ("nfs", "nfs", "rw", "nfs"),
        ("smb", "smbfs", "rw", "smbfs"),
        ("drive", "NTFS", "rw,remote", "remote"),  # of Windows, that a server has
        ("fuse", "macfuse", "rw", "macfuse"),
        ("disk", "apfs", "rw,local", ""),
    ],
)
def test_elsewhere_psutil_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, options: str, expected: str
) -> None:
    parts = [
        SimpleNamespace(mountpoint="/", fstype="apfs", opts="rw"),
        SimpleNamespace(mountpoint=str(tmp_path / name), fstype=kind, opts=options),
    ]
    monkeypatch.setattr(filesystem, "MOUNTS", str(tmp_path / "missing"))
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: parts)
    assert find_network(tmp_path / name / "lab.db") == expected
    assert find_file_system(tmp_path / "lab.db") == "apfs"


def test_a_share_of_windows_has_no_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert filesystem._ask_psutil("\\\\server\\share\\lab.db") == "remote"


def test_no_answer_is_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(filesystem, "MOUNTS", str(tmp_path / "missing"))
    monkeypatch.setattr(psutil, "disk_partitions", refuse)
    assert find_file_system(tmp_path) == ""
    assert find_network(tmp_path) == ""


def test_creating_an_archive_there_warns_once(
    tmp_path: Path, table: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Archive(tmp_path / "local.db").close()
    assert caplog.messages == []
    table.write_text(f"{TABLE}50 22 0:60 / {tmp_path} rw - nfs4 server:/ rw\n")
    for _ in range(2):
        Archive(tmp_path / "lab.db").close()
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / 'lab.db'} lies on a network file system (nfs4), where two machines")
    assert message.endswith("set EXPTRACK_SPOOL to a folder, and merge that afterwards")


def test_info_names_a_network_file_system(tmp_path: Path, table: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.info().network == ""
    table.write_text(f"{TABLE}50 22 0:60 / {tmp_path} rw - beegfs server rw\n")
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.info().network == "beegfs"
    shown = CliRunner().invoke(main, ["info", str(tmp_path / "lab.db")]).output
    assert "file system    beegfs, a network file system" in shown


@pytest.mark.usefixtures("table")
def test_a_warning_needs_a_network(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_network("/tmp/lab.db")
    assert caplog.messages == []
