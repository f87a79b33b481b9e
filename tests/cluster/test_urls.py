"""What a storage's URL means, and what of it may be shown."""

import os
from pathlib import Path

import pytest

from gadlib.cluster.urls import (
    EXAMPLES,
    file_of,
    network_filesystem,
    require_regular,
    require_url,
    without_password,
)
from gadlib.settings.reading import InputError

SHOWN = {
    "sqlite:///study.db": "sqlite:///study.db",
    "postgresql+psycopg://u:SECRET@h:5432/db": "postgresql+psycopg://u:***@h:5432/db",
    "postgresql+psycopg://u@h/db?password=SECRET&x=1": "postgresql+psycopg://u@h/db",
    "postgresql+psycopg://u:SEC@SECRET@h/db": "postgresql+psycopg://u:***@h/db",
    "postgresql+psycopg://u:SEC@SECRET@SECRET@h/db": "postgresql+psycopg://u:***@h/db",
    "grpc://h:1": "grpc://h:1",
    "u:SECRET@h@host": "u://***@host",  # no URL: nothing between scheme and host
    "u:SECRET@host?password=SECRET": "u://***@host",
    "u:SECRET:1": "u:***",
    "u:what?SECRET": "u:***",
    "journal:study.log": "journal:study.log",
    "study.db": "study.db",
    "SECRET@SECRET@study.db?SECRET?": "study.db",
    "sqlite://u:SECRET@h:port/x": "sqlite://***@h:port/x",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
def test_a_url_is_shown_without_its_password_and_what_stands_behind_it(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///study.db", "study.db"),
        ("sqlite:////tmp/study.db?timeout=3?", "/tmp/study.db"),
        ("journal:///study.log", "study.log"),
        ("postgresql://h/sqlite:///x", None),
        ("grpc://h:1", None),
    ],
)
def test_the_file_of_a_url_is_told_for_storages_that_are_one(url, path):
    assert file_of(url) == (Path(path) if path else None)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///new.db",
        "journal:///new.log",
        "postgresql://h/db",
        "postgresql+psycopg://h/db",
        "mysql+pymysql://h/db",
        "grpc://h:1",
    ],
)
def test_every_kind_of_storage_has_a_url(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert require_url(url) is None


@pytest.mark.parametrize("url", ["redis://h/db", "sqlite", "study.db", "postgresql://h:port/db"])
def test_no_other_url_is_one_of_a_storage(url):
    with pytest.raises(InputError) as error:
        require_url(url)
    told = f"storage {without_password(url)}: not a usable storage URL; expected e.g. {EXAMPLES}"
    assert str(error.value) == told


def test_a_pipe_a_folder_and_a_nul_are_no_files_for_a_storage(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path, reason in (
        (tmp_path / "pipe", "a pipe or a device"),
        (tmp_path, "is a folder"),
        (tmp_path / "a\0b", "a NUL character"),
    ):
        with pytest.raises(InputError, match=f"shown.*{reason}"):
            require_regular(path, "shown")
    require_regular(tmp_path / "file", "shown")
    require_regular(tmp_path / "new", "shown")
    with pytest.raises(InputError, match="is a folder"):
        require_url(f"journal:///{tmp_path}")


MOUNTS = """\
disk / ext4 rw 0 0
server:/a {root}/a nfs4 rw 0 0
disk {root}/a/local ext4 rw 0 0
server:/b {root}/with\\040space lustre rw 0 0
server:/c {root}/odd zfs rw 0 0
"""


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """A folder in which others are mounted, as the kernel would say it."""
    read = Path.read_text

    def said(path, *args, **kwargs):
        is_mounts = str(path) == "/proc/mounts"
        return MOUNTS.format(root=tmp_path) if is_mounts else read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", said)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a", "nfs4"),
        ("a/deep/er/study.db", "nfs4"),
        ("a/local/study.db", ""),
        ("with space/study.db", "lustre"),
        ("odd/study.db", ""),
        ("ab/study.db", ""),
        ("study.db", ""),
    ],
)
def test_a_file_is_on_the_file_system_that_is_mounted_nearest_to_it(mounted, name, kind):
    for folder in ("a/local", "with space", "odd", "ab"):
        (mounted / folder).mkdir(parents=True)
    assert network_filesystem(mounted / name) == kind
    assert network_filesystem(str(mounted / name)) == kind


KINDS = """nfs nfs4 lustre gpfs beegfs cifs smb3 smbfs afs ceph glusterfs fuse.glusterfs fuse.sshfs
fuse.ceph pvfs2 orangefs panfs wekafs 9p"""


@pytest.mark.parametrize(("kind", "found"), [*((k, k) for k in KINDS.split()), ("ext4", "")])
def test_file_systems_of_a_network_are_known_by_name(kind, found, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"x / {kind} rw 0 0\n")
    assert network_filesystem(tmp_path) == found


def test_a_path_counts_from_where_the_process_is(mounted, monkeypatch):
    (mounted / "a").mkdir()
    monkeypatch.chdir(mounted / "a")
    assert network_filesystem("study.db") == "nfs4"


def test_without_a_list_of_mounts_every_file_system_is_local(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert network_filesystem(tmp_path / "study.db") == ""
