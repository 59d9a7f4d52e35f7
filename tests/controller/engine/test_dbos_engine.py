"""The engine keeps pushes going across restarts and talks to nobody but its database."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from controller.engine.dbos_engine import DbosEngine, _database
from controller.engine.node import NodeId
from controller.engine.port import Run
from inventory.errors import Conflict
from tests.controller.waiting import until


async def ended(engine: DbosEngine, push_id: int) -> None:
    async def check() -> bool:
        return await engine.status(push_id, 1) is Run.ENDED

    await until(check)


class Program:
    """An `advance` that takes `transitions` calls to finish, or stops before one until it is let go."""

    def __init__(self, transitions: int = 3) -> None:
        self.transitions = transitions
        self.calls: list[int] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def advance(self, push_id: int) -> bool:
        await self.gate.wait()
        self.calls.append(push_id)
        self.loops.add(asyncio.get_running_loop())
        return len(self.calls) >= self.transitions


async def test_a_push_is_advanced_on_our_loop_until_it_is_finished_and_started_once(tmp_path: Path) -> None:
    program = Program()
    engine = await DbosEngine.open(f"sqlite:///{tmp_path}/engine.db", node_id="n1", advance=program.advance)
    try:
        assert await engine.status(7, 1) is Run.ABSENT
        await asyncio.gather(*(engine.start([(7, 1)]) for _ in range(3)))
        await until(lambda: len(program.calls) >= 3)
        await ended(engine, 7)
        await engine.start([(7, 1)])
        assert program.calls == [7, 7, 7]
        assert program.loops == {asyncio.get_running_loop()}
    finally:
        await engine.close()


def test_the_engine_s_file_tells_milliseconds_on_the_sqlite_of_debian_12_too(tmp_path: Path) -> None:
    database = _database(f"sqlite:///{tmp_path}/engine.db")
    try:
        with database.connect() as connection:
            told = connection.exec_driver_sql("SELECT unixepoch('subsec')").scalar_one()
            other = connection.exec_driver_sql("SELECT strftime('%s', 'now')").scalar_one()
    finally:
        database.dispose()
    assert isinstance(told, float)
    assert abs(told - int(other)) < 2


async def test_work_left_by_a_stopped_daemon_is_taken_up_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/engine.db"
    program = Program()
    program.gate.clear()
    engine = await DbosEngine.open(url, node_id="n1", advance=program.advance)
    await engine.start([(1, 1)])
    await engine.close()
    assert program.calls == []

    program.gate.set()
    engine = await DbosEngine.open(url, node_id="n1", advance=program.advance)
    try:
        await until(lambda: len(program.calls) == 3)
    finally:
        await engine.close()


async def test_work_of_another_version_is_named_stranded_not_silently_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/engine.db"
    program = Program()
    program.gate.clear()
    engine = await DbosEngine.open(url, node_id="n1", advance=program.advance, version="push-0")
    await engine.start([(1, 1)])
    await engine.close()

    engine = await DbosEngine.open(url, node_id="n1", advance=program.advance)
    try:
        assert await engine.status(1, 1) is Run.STRANDED
        await engine.cancel(1, 1)
        assert await engine.status(1, 1) is Run.ENDED
    finally:
        await engine.close()


async def test_ended_work_is_pruned_and_unfinished_work_is_kept(tmp_path: Path) -> None:
    program = Program(transitions=1)
    engine = await DbosEngine.open(f"sqlite:///{tmp_path}/engine.db", node_id="n1", advance=program.advance)
    try:
        await engine.start([(1, 1)])
        await ended(engine, 1)
        program.gate.clear()
        await engine.start([(2, 1)])
        far_future_ms = 4_000_000_000_000
        assert await engine.prune(0) == 0
        assert await engine.prune(far_future_ms) == 1
        assert await engine.status(1, 1) is Run.ABSENT
        assert await engine.status(2, 1) is Run.UNDER_WAY
    finally:
        await engine.close()


async def test_a_defect_in_a_push_ends_its_attempt_and_its_text_is_not_stored(tmp_path: Path) -> None:
    async def advance(push_id: int) -> bool:
        raise RuntimeError("planted-secret")

    path = tmp_path / "engine.db"
    engine = await DbosEngine.open(f"sqlite:///{path}", node_id="n1", advance=advance)
    try:
        await engine.start([(1, 1)])
        await ended(engine, 1)
    finally:
        await engine.close()
    with sqlite3.connect(path) as rows:
        dump = "\n".join(rows.iterdump())
    rows.close()
    assert "RuntimeError" in dump
    assert "planted-secret" not in dump


async def test_pushes_that_start_together_are_one_entry_of_the_engine_and_each_its_own(tmp_path: Path) -> None:
    path, calls, gate = tmp_path / "engine.db", Counter[int](), asyncio.Event()

    async def advance(push_id: int) -> bool:
        calls[push_id] += 1
        if push_id == 2:
            raise RuntimeError("a defect of ours")
        if push_id == 3:
            await gate.wait()
        return calls[push_id] == 2

    engine = await DbosEngine.open(f"sqlite:///{path}", node_id="n1", advance=advance)
    try:
        together = [(1, 1), (2, 4), (3, 1)]
        await asyncio.gather(*(engine.start(together) for _ in range(3)))
        await until(lambda: calls[1] == 2)
        assert [await engine.status(*one) for one in together] == [Run.ENDED, Run.ENDED, Run.UNDER_WAY]
        assert await engine.status(3, 2) is Run.ABSENT
        await engine.start([(2, 5), (3, 1)])
        gate.set()
        await until(lambda: calls[3] == 2)

        async def all_over() -> bool:
            return await engine.prune(4_000_000_000_000) == 0

        await until(all_over)
        assert calls == {1: 2, 2: 2, 3: 2}, "each was begun once, and what broke one left the others alone"
    finally:
        await engine.close()


async def test_pushes_that_started_together_are_all_taken_up_again_after_a_stop(tmp_path: Path) -> None:
    url, finished, gate = f"sqlite:///{tmp_path}/engine.db", set[int](), asyncio.Event()

    async def advance(push_id: int) -> bool:
        if push_id != 1:
            await gate.wait()
        finished.add(push_id)
        return True

    engine = await DbosEngine.open(url, node_id="n1", advance=advance)
    await engine.start([(1, 1), (2, 1), (3, 2)])
    await until(lambda: finished == {1})
    await engine.close()
    assert finished == {1}

    gate.set()
    engine = await DbosEngine.open(url, node_id="n1", advance=advance)
    try:
        await until(lambda: finished == {1, 2, 3})
    finally:
        await engine.close()


async def test_pushes_begun_together_under_another_version_are_stranded_each(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/engine.db"
    program = Program()
    program.gate.clear()
    engine = await DbosEngine.open(url, node_id="n1", advance=program.advance, version="push-0")
    await engine.start([(1, 1), (2, 1)])
    await engine.close()

    engine = await DbosEngine.open(url, node_id="n1", advance=program.advance)
    try:
        assert {await engine.status(push_id, 1) for push_id in (1, 2)} == {Run.STRANDED}
        await engine.cancel(1, 1)
        # Nobody would ever go on with the other one: whoever looks after it starts it anew.
        assert {await engine.status(push_id, 1) for push_id in (1, 2)} == {Run.ABSENT}
        program.gate.set()
        await engine.start([(1, 2), (2, 1)])
        await until(lambda: len(program.calls) >= 3)
    finally:
        await engine.close()


async def test_what_another_node_had_under_way_is_not_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/engine.db"
    program = Program()
    program.gate.clear()
    engine = await DbosEngine.open(url, node_id="n1", advance=program.advance)
    await engine.start([(1, 1)])
    await engine.start([(2, 1), (3, 1)])
    await engine.close()

    engine = await DbosEngine.open(url, node_id="n2", advance=program.advance)
    try:
        assert await engine.status(1, 1) is Run.STRANDED
        assert await engine.status(2, 1) is Run.ENDED, "the others of its envelope may still run there"
    finally:
        await engine.close()


async def test_one_of_several_that_started_together_is_stopped_alone(tmp_path: Path) -> None:
    program = Program(transitions=1)
    program.gate.clear()
    engine = await DbosEngine.open(f"sqlite:///{tmp_path}/engine.db", node_id="n1", advance=program.advance)
    try:
        await engine.start([(1, 1), (2, 1)])
        await engine.cancel(1, 1)

        async def stopped() -> bool:
            return await engine.status(1, 1) is not Run.UNDER_WAY

        await until(stopped)
        assert await engine.status(2, 1) is Run.UNDER_WAY
        program.gate.set()
        await until(lambda: program.calls == [2])
    finally:
        await engine.close()


async def test_the_file_is_wal_and_holds_json_only(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    program = Program()
    engine = await DbosEngine.open(f"sqlite:///{path}", node_id="n1", advance=program.advance)
    try:
        await engine.start([(5, 2)])
        await until(lambda: len(program.calls) == 3)
        with sqlite3.connect(path) as rows:
            assert rows.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            name, serialization, executor, version = rows.execute(
                "SELECT workflow_uuid, serialization, executor_id, application_version FROM workflow_status"
            ).fetchone()
            dump = "\n".join(rows.iterdump())
        rows.close()
        assert (name, serialization, executor, version) == ("push-5-2", "kajitori-json", "n1", "push-1")
        assert '{"args": [5], "kwargs": {}}' in dump
        assert "gASV" not in dump, "a pickle in base64 begins so"
    finally:
        await engine.close()


async def test_threads_still_work_after_the_engine_has_closed(tmp_path: Path) -> None:
    program = Program()
    engine = await DbosEngine.open(f"sqlite:///{tmp_path}/engine.db", node_id="n1", advance=program.advance)
    await engine.start([(1, 1)])
    await until(lambda: len(program.calls) == 3)
    await engine.close()
    assert await asyncio.to_thread(lambda: 4) == 4


def test_the_engine_opens_no_socket_on_sqlite(tmp_path: Path) -> None:
    """In a process of its own, under an audit hook: every connect, bind, look-up and send is recorded."""
    script = textwrap.dedent(
        """
        import asyncio, sys

        seen = []
        def hook(event, args):
            if event.startswith("socket.") and event not in ("socket.__new__",):
                seen.append((event, str(args[1:])))
        sys.addaudithook(hook)

        from controller.engine.dbos_engine import DbosEngine, _database
        from controller.engine.port import Run

        async def advance(push_id):
            return True

        async def main():
            engine = await DbosEngine.open(sys.argv[1], node_id="n1", advance=advance)
            await engine.start([(1, 1)])
            while await engine.status(1, 1) is not Run.ENDED:
                await asyncio.sleep(0.01)
            await asyncio.sleep(2.5)  # background threads of the library poll each second
            await engine.close()

        asyncio.run(main())
        print(seen)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"sqlite:///{tmp_path}/engine.db"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    assert "console.dbos.dev" not in done.stderr


async def test_somebody_elses_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOS__CLOUD", "true")
    with pytest.raises(Conflict, match="DBOS__CLOUD"):
        await DbosEngine.open(f"sqlite:///{tmp_path}/engine.db", node_id="n1", advance=Program().advance)


def test_a_node_keeps_its_id_and_a_second_live_node_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.id"
    with NodeId.claim(path) as first:
        assert first.node_id.startswith("node-")
        with pytest.raises(Conflict, match="another live process"):
            NodeId.claim(path)
    assert path.stat().st_mode & 0o077 == 0
    with NodeId.claim(path) as again:
        assert again.node_id == first.node_id
    with pytest.raises(Conflict, match="belongs to node"):
        NodeId.claim(path, chosen="tokyo-1")
    handles = len(list(Path("/proc/self/fd").iterdir()))
    with NodeId.claim(tmp_path / "other.id", chosen="tokyo-1") as other:
        assert other.node_id == "tokyo-1"
    assert len(list(Path("/proc/self/fd").iterdir())) == handles
