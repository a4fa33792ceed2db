"""A share from its start to its end, with a real tunnel child that leads no further than this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import AppError
from tests.running_app import wait_for
from ui import sharing as sharing_module
from ui import tunnel as tunnel_module
from ui.sharing import OWNER, Sharing
from ui.tunnel import Command, open_tunnel
from ui.visitors import Role, Visitor, Visitors

FAKE = Path(__file__).resolve().parent.parent / "fake_tunnel.py"
NAME = "abc123.gradio.live"


class Address:
    """The guests' address, as far as sharing sees it."""

    def __init__(self) -> None:
        self.port, self.open = 9, True

    def close(self) -> None:
        self.open = False


class Share:
    """A Sharing over a fake tunnel, and what it told others."""

    def __init__(self, folder: Path, name: str = NAME, owner_password: str = "", near: str = "") -> None:
        self.pid_file = folder / "tunnel.pid"
        self.addresses: list[Address] = []
        self.admitted: list[str] = []
        self.visitors = Visitors()
        self.sharing = Sharing(folder, self.visitors, listen=self._listen, admit=self.admitted.append,
                               command=fake(name, self.pid_file), owner_password=owner_password, near=lambda: near,
                               pause_seconds=0.01)

    def _listen(self) -> Address:
        self.addresses.append(Address())
        return self.addresses[-1]

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text(encoding="ascii"))

    def enter(self, name: str, password: str) -> Visitor | None:
        entered = asyncio.run(self.sharing.enter(name, password))
        assert entered is None or self.visitors.of(entered[0]) is entered[1]
        return entered[1] if entered else None


def fake(name: str, pid_file: Path) -> Command:
    return lambda port: [sys.executable, str(FAKE), name, str(port), str(pid_file)]


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


Open = Callable[..., Share]


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Open]:
    opened: list[Share] = []

    def open_one(name: str = NAME, owner_password: str = "", near: str = "") -> Share:
        opened.append(Share(tmp_path, name, owner_password, near))
        return opened[-1]
    yield open_one
    for one in opened:
        one.sharing.close()


def test_a_share_has_a_link_a_password_and_an_end(share: Open) -> None:
    one = share()
    one.sharing.start_now(15)
    status = one.sharing.status
    assert status.state == "on" and status.url.startswith(f"http://{NAME}:")
    assert len(status.password) >= 20 and abs(status.ends_at - time.time() - 900) < 5
    assert one.admitted == [status.url] and one.addresses[0].open and alive(one.pid)
    with pytest.raises(AppError, match="share_running"):
        one.sharing.start_now(15)


@pytest.mark.parametrize("name", ["guest", "invitado"])
def test_the_guests_password_opens_a_guests_session_until_the_share_ends(share: Open, name: str) -> None:
    one = share()
    assert one.enter(name, "") is None
    one.sharing.start_now(15)
    status = one.sharing.status
    guest = one.enter(name, status.password)
    assert guest is not None and (guest.role, guest.name, guest.ends_at) == (Role.GUEST, "1", status.ends_at)
    assert one.enter(OWNER, status.password) is None
    one.sharing.close()
    assert one.enter(name, status.password) is None


def test_the_owners_password_opens_an_owners_session(share: Open) -> None:
    entered = share(owner_password="a long password").enter(OWNER, "a long password")
    assert entered is not None and entered.role is Role.OWNER


def test_stopping_ends_the_tunnel_the_address_and_every_guests_session_but_not_the_owners(share: Open) -> None:
    one = share()
    one.sharing.start_now(15)
    pid, password = one.pid, one.sharing.status.password
    guest, _ = one.visitors.begin(Role.GUEST, "1", time.time() + 60)
    owner, _ = one.visitors.begin(Role.OWNER, OWNER, time.time() + 60)
    asyncio.run(one.sharing.stop())
    assert wait_for(lambda: not alive(pid), 5)
    assert not one.addresses[0].open and one.sharing.status == sharing_module.ShareStatus()
    assert one.visitors.of(guest) is None and one.visitors.of(owner) is not None
    one.sharing.start_now(15)
    assert one.sharing.status.password != password


def test_when_the_time_is_over_it_ends_by_itself_and_says_so(share: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = share()
    one.sharing.start_now(15)
    pid, now = one.pid, time.time()
    monkeypatch.setattr(time, "time", lambda: now + 15 * 60 + 1)
    assert wait_for(lambda: one.sharing.status.state == "off", 5)
    assert one.sharing.status.error == ("share_over", {})
    assert wait_for(lambda: not alive(pid), 5)


def test_a_tunnel_that_breaks_ends_the_share_and_is_said(share: Open) -> None:
    one = share()
    one.sharing.start_now(15)
    psutil.Process(one.pid).kill()
    assert wait_for(lambda: one.sharing.status.state == "off", 10)
    assert one.sharing.status.error == ("share_lost", {})
    assert not one.addresses[0].open


@pytest.mark.parametrize("name", ["refused", "mute"])
def test_a_tunnel_that_does_not_open_is_said_and_leaves_nothing(
        share: Open, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel_module, "OPEN_SECONDS", 3.0)
    one = share(name)
    with pytest.raises(AppError, match="share_blocked"):
        one.sharing.start_now(15)
    assert one.sharing.status.error == ("share_blocked", {})
    assert not one.addresses[0].open and not alive(one.pid)


def test_over_the_local_network_guests_can_come_without_a_tunnel(share: Open) -> None:
    one = share("refused", owner_password="a long password", near="http://192.0.2.7:7860")
    one.sharing.start_now(15)
    status = one.sharing.status
    assert (status.state, status.url, status.near_url) == ("on", "http://192.0.2.7:7860", "http://192.0.2.7:7860")
    assert one.enter("guest", status.password) is not None and not one.addresses[0].open
    one.sharing.close()
    assert one.enter("guest", status.password) is None


def test_a_start_can_be_stopped_before_the_link_stands(share: Open) -> None:
    one = share("mute")
    raised: list[AppError] = []

    def start() -> None:
        try:
            one.sharing.start_now(15)
        except AppError as error:
            raised.append(error)
    starting = threading.Thread(target=start)
    starting.start()
    assert wait_for(one.pid_file.is_file, 10)
    one.sharing.close()
    starting.join(10)
    assert [error.code for error in raised] == ["share_cancelled"]
    assert one.sharing.status == sharing_module.ShareStatus() and not alive(one.pid) and not one.addresses[0].open


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    for said in ("javascript:alert(1)", "ftp://x", "http://", "file:///etc/passwd"):
        program = [sys.executable, "-c", f"print('start proxy success: {said}', flush=True); input()"]
        with pytest.raises(AppError, match="share_blocked"):
            open_tunnel(program, tmp_path / "log.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a word of POSIX")
def test_no_tunnel_outlives_an_app_that_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "tunnel.pid"
    program = (f"import pathlib, time; from ui.tunnel import open_tunnel; "
               f"tunnel = open_tunnel({fake(NAME, pid_file)(9)!r}, pathlib.Path({str(tmp_path / 'log.txt')!r})); "
               "print(tunnel.url, flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", program], cwd=FAKE.parent.parent, stdout=subprocess.PIPE) as app:
        assert app.stdout is not None and app.stdout.readline().startswith(b"http://")
        tunnel = int(pid_file.read_text(encoding="ascii"))
        assert alive(tunnel)
        os.kill(app.pid, signal.SIGKILL)
    assert wait_for(lambda: not alive(tunnel), 10)


def test_a_password_stands_neither_in_a_log_nor_in_the_process_list(share: Open, tmp_path: Path) -> None:
    one = share()
    one.sharing.start_now(15)
    password = one.sharing.status.password
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert password not in " ".join(process.cmdline())
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert password.encode() not in written
    assert password not in one.sharing.status.url


def test_what_guests_may_see_is_kept(share: Open, tmp_path: Path) -> None:
    one = share().sharing
    assert one.allowed("nómina.pdf")
    one.allow(["nómina.pdf"], False)
    one.allow(["plan.txt"], False)
    one.allow(["plan.txt"], True)
    assert (one.allowed("nómina.pdf"), one.allowed("plan.txt")) == (False, True)
    again = Share(tmp_path).sharing
    assert not again.allowed("nómina.pdf") and again.allowed("plan.txt")


def test_a_forbidden_document_stays_so_under_another_name(tmp_path: Path) -> None:
    contents = {"nómina.pdf": "a", "plan.txt": "b"}

    def sharing() -> Sharing:
        return Sharing(tmp_path, Visitors(), listen=Address, admit=print, command=fake(NAME, tmp_path / "pid"),
                       contents=lambda: contents)

    one = sharing()
    assert one.allowed("nueva.txt")  # nothing is forbidden
    one.allow(["nómina.pdf"], False)
    contents |= {"sueldos.pdf": "a"}
    for kept in (one, sharing()):
        assert [kept.allowed(name) for name in ("nómina.pdf", "sueldos.pdf", "plan.txt")] == [False, False, True]
        assert not kept.allowed("nueva.txt")  # what it holds is not known yet
    one.allow(["sueldos.pdf"], True)
    assert one.allowed("sueldos.pdf") and one.allowed("nómina.pdf")


def test_what_was_forbidden_by_name_alone_stays_forbidden(tmp_path: Path) -> None:
    (tmp_path / "share.json").write_text('{"forbidden": ["nómina.pdf"]}', encoding="utf-8")
    one = Share(tmp_path).sharing
    assert not one.allowed("nómina.pdf") and one.allowed("plan.txt")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"forbidden": 3}', "\x00"])
def test_what_guests_may_see_being_unreadable_shows_them_nothing_and_is_said(
        share: Open, tmp_path: Path, content: str) -> None:
    (tmp_path / "share.json").write_text(content, encoding="utf-8")
    one = share().sharing
    assert not one.allowed("plan.txt")
    with pytest.raises(AppError, match="share_unreadable"):
        one.start_now(15)
    with pytest.raises(AppError, match="share_unreadable"):
        one.allow(["plan.txt"], True)


def test_the_owner_sees_what_was_asked_in_the_last_hour(share: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = share()
    _, visitor = one.visitors.begin(Role.GUEST, "3", time.time() + 60)
    now = time.time()
    for minutes, question in ((61, "old"), (59, "young"), (1, "new")):
        monkeypatch.setattr(time, "time", lambda minutes=minutes: now - 60 * minutes)
        one.sharing.note(visitor, question)
    monkeypatch.setattr(time, "time", lambda: now)
    assert [(asked.question, asked.guest) for asked in one.sharing.asked()] == [("new", "3"), ("young", "3")]
