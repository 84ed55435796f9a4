"""A project for somebody's program: on a port, as a transport, behind respx, with their own tables."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from simulator.faults import Hang
from simulator.loop import current_loop
from simulator.testing.errors import NotHere, NotYet
from simulator.testing.fake_supabase import FakeProject
from simulator.testing.sim_faults import SimFaults
from simulator.testing.sim_world import SimWorld, WorldPlan
from tests.simulator.testing.nights import play

SQL = "create table public.points (login text primary key, points integer not null default 0);grant all on public.points to service_role;"


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """A folder with one table."""
    (tmp_path / "points.sql").write_text(SQL, encoding="utf-8")
    return tmp_path


def test_a_program_finds_its_tables_at_the_address(schema: Path) -> None:
    """With the key, over a real socket, in virtual time; faults act on it."""
    project, faults = FakeProject(schema), SimFaults()

    async def test() -> None:
        project.insert("points", login="ana", points=3)
        headers = {"apikey": project.key, "Authorization": f"Bearer {project.key}"}
        async with httpx.AsyncClient(headers=headers) as http:
            answer = await http.get(f"{project.url}/rest/v1/points", params={"select": "points"})
            assert answer.json() == [{"points": 3}]
            stranger = {"apikey": project.publishable_key, "Authorization": ""}
            denied = await http.get(f"{project.url}/rest/v1/points", headers=stranger)
            assert denied.json()["code"] == "42501"
        with faults.begin(Hang()):
            async with project.http(timeout_s=3) as http:
                with pytest.raises(httpx.ReadTimeout):
                    await http.get("/points")
        assert current_loop().time() == 3
        assert [request.path for request in project.requests] == ["/rest/v1/points"] * 2

    play(test, project, faults)


def test_without_sockets_there_are_a_client_a_transport_and_a_router(schema: Path) -> None:
    """And no address: the words say what to take."""
    project = FakeProject(schema)

    async def test() -> None:
        assert not current_loop().hybrid
        with pytest.raises(NotHere, match="transport for httpx"):
            _ = project.url
        async with project.http() as http:
            assert (await http.post("/points", json={"login": "ana"})).status_code == 201
        async with httpx.AsyncClient(transport=project.transport) as http:
            assert (await http.get("https://anywhere.test/rest/v1/points")).status_code == 401
        with project.respx() as router:
            async with httpx.AsyncClient() as http:
                await http.get(f"{project.project.url}/rest/v1/points", headers={"apikey": project.key})
            assert router["points"].call_count == 1

    play(test, project, sockets=False)


def test_a_human_edits_the_tables(schema: Path) -> None:
    """Without a key; and sees what is there."""
    project = FakeProject(schema)

    async def test() -> None:
        assert project.insert("points", login="ana") == {"login": "ana", "points": 0}
        project.insert("points", login="bia", points=1)
        assert project.update("points", {"login": "ana"}, points=5) == 1
        assert project.rows("points") == [{"login": "ana", "points": 5}, {"login": "bia", "points": 1}]
        assert project.delete("points", login="bia") == 1
        assert project.delete("points", login="bia") == 0

    play(test, project, sockets=False)


def test_beside_a_world_it_is_the_worlds() -> None:
    """One database: what Byte Bot saved is here."""
    world, project = SimWorld(WorldPlan()), FakeProject()

    async def test() -> None:
        await world.ask("mod", "!count deaths +1")
        await world.saved()
        kept = [row for row in project.rows("component_state") if row["key"] == "counters"]
        assert kept[0]["data"] == {"values": {"deaths": 1}}
        with pytest.raises(NotHere):
            _ = project.url

    play(test, world, project)


def test_before_the_test_there_is_nothing() -> None:
    """A fixture's object alone answers no question."""
    with pytest.raises(NotYet, match="fake_supabase can be used while the test runs"):
        FakeProject().rows("points")
