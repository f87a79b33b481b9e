"""What a storage's URL tells, and what of it is shown."""

from pathlib import Path

import pytest

from gadlib.cluster import urls
from gadlib.cluster.urls import file_of, network_filesystem, require_url, without_password
from gadlib.settings.reading import InputError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///a/study.db", "sqlite:///a/study.db"),
        ("postgresql://u:SECRET@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:SEC@SECRET@h/db", "postgresql://u:***@h/db"),
        ("postgresql://h/db?password=SECRET", "postgresql://h/db"),
        ("study.db", "study.db"),
        ("u@study.db?x=SECRET", "study.db"),
        ("u:SECRET@h", "u://***@h"),
        ("host:SECRET:1", "host:***"),
        ("host:1?x=SECRET", "host:***"),
        ("host:1", "host:1"),
    ],
)
def test_what_is_shown_of_a_url(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a/study.db", Path("a/study.db")),
        ("sqlite:////a/study.db?timeout=1", Path("/a/study.db")),
        ("journal:///study.log", Path("study.log")),
        ("postgresql://h/db", None),
    ],
)
def test_a_file_is_what_a_url_of_sqlite_or_a_journal_names(url, path):
    assert file_of(url) == path


@pytest.mark.parametrize(
    "url", ["sqlite:///x.db", "journal:///x.log", "postgresql+psycopg://h/d", "mysql://h/d",
            "grpc://h:1"],
)  # fmt: skip
def test_every_kind_of_storage_is_taken(url):
    require_url(url)


@pytest.mark.parametrize("url", ["oracle://h/d", "study.db", "sqlite", "grpc://h:port"])
def test_what_is_no_storage_is_refused_with_examples(url):
    with pytest.raises(
        InputError, match=r"not a usable storage URL; expected e\.g\. sqlite:///study"
    ):
        require_url(url)


def test_folders_and_pipes_are_refused(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path} is a folder"):
        require_url(f"sqlite:///{tmp_path}")
    with pytest.raises(InputError, match="/dev/null is a pipe or a device"):
        require_url("journal:////dev/null")
    with pytest.raises(InputError, match="a NUL character in it"):
        require_url("journal:///a\0b")


MOUNTS = """\
rootfs / ext4 rw 0 0
home:/x /home nfs4 rw 0 0
local /home/me/my\\040disk xfs rw 0 0
pool /scratch lustre rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/study.db", "nfs4"),
        ("/home/me/my disk/study.db", ""),
        ("/scratch/a/b/study.db", "lustre"),
        ("/scratchy/study.db", ""),
        ("/study.db", ""),
    ],
)
def test_the_longest_mount_tells_the_file_system(path, kind, monkeypatch):
    monkeypatch.setattr(urls.Path, "read_text", lambda _: MOUNTS)
    monkeypatch.setattr(urls.Path, "exists", lambda _: True)
    assert network_filesystem(path) == kind


def test_a_path_that_is_not_there_yet_is_on_the_file_system_of_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(urls.Path, "read_text", lambda _: f"x / ext4\nhost:/x {tmp_path} nfs\n")
    assert network_filesystem(tmp_path / "a" / "b") == "nfs"


def test_where_mounts_are_not_known_a_disk_is_local(tmp_path, monkeypatch):
    def missing(_):
        raise FileNotFoundError

    monkeypatch.setattr(urls.Path, "read_text", missing)
    assert network_filesystem(tmp_path) == ""
