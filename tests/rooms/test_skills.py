"""Skills from the site file and the shell, and `queues explain`."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import ContactState
from callcenter.floor.skills import ANYBODY, AllOf, AnyOf, Expression, Skill, Without, in_words
from callcenter.history import connect, migrate
from callcenter.people import store
from callcenter.people.model import Allowed, Person
from callcenter.people.sheet import changes, read_sheet
from callcenter.site import SiteErrors, floor_plan, parse
from callcenter.site import skills as site_skills
from callcenter.state import FloorStore, Owner, Turn, decode, encode

from ..floor.test_matching import expressions
from .floors import agent, contact
from .shell import SITE, Shell

pytestmark = pytest.mark.usefixtures("patient")

SKILLED = """
[[numbers]]
number = "4001"
queue = "sales"
skills = "not trainee"
head_start_seconds = 60
"""
RINGS = """
name = "sales"
skills = "chinese >= 3 and loans"
prefer = "chinese"
rings = [{ after = 30, skills = "chinese" }, { after = 60, skills = "" }]
sticky_seconds = 15
weight_seconds = 10
misses = 2
"""


@pytest.fixture
def shell(tmp_path: Path, redis_url: str, database_url: str) -> Shell:
    migrate(database_url)
    shell = Shell.at(tmp_path, redis_url, database_url)
    site = shell.directory / "callcenter.toml"
    site.write_text(site.read_text().replace('name = "sales"', RINGS) + SKILLED)
    return shell


# The site file.


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", ANYBODY),
        ("loans", Skill("loans")),
        ("Chinese >= 3 and loans", AllOf((Skill("chinese", 3), Skill("loans")))),
        ("粤语 >= 2 or not (a and b)", AnyOf((Skill("粤语", 2), Without(AllOf((Skill("a"), Skill("b"))))))),
    ],
)
def test_an_expression_is_read(text: str, expression: Expression) -> None:
    assert site_skills.parse(text) == expression


@given(expressions)
def test_what_is_written_is_read_again(expression: Expression) -> None:
    words = in_words(expression)
    assert in_words(site_skills.parse(words)) == words


@pytest.mark.parametrize(
    "text",
    [
        *("chinese >", "chinese > 3", "3 >= chinese", "chinese >= 11", "chinese >= 0", "chinese >= True"),
        *("a b", "a + b", "f(a)", "__import__('os')", "a >= 3 >= 2", "class", "a.b", "'a'", "a >= 1.5"),
        *("(" * 300, "\0", "a" * 401),
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        site_skills.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert in_words(site_skills.parse(text)) or not text.strip()


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ('skills = "chinese > 3"', "expected skills such as"),
        ('prefer = "chinese-speaking"', "expected the name of a skill"),
        ('rings = [{ after = 60, skills = "" }, { after = 30, skills = "" }]', "one after the other"),
        ('rings = [{ after = 0, skills = "" }]', "greater than or equal to 1"),
        ("misses = -1", "greater than or equal to 0"),
        ("retry_after_seconds = 0", "greater than or equal to 1"),
        ('strategy = "top_dwn"', 'did you mean "top_down"'),
    ],
)
def test_faults_of_a_queue_are_told(key: str, fault: str) -> None:
    text = SITE.format(redis="", postgres="").replace('name = "sales"', f'name = "sales"\n{key}')
    with pytest.raises(SiteErrors) as told:
        parse(text, Path("/nowhere/callcenter.toml"))
    assert fault in str(told.value.errors[0])


def test_an_agent_of_a_number_needs_the_queues_time() -> None:
    text = (
        SITE.format(redis="", postgres="") + '[[numbers]]\nnumber = "4001"\nqueue = "sales"\nagent = "1001"\n'
    )
    with pytest.raises(SiteErrors) as told:
        parse(text, Path("/nowhere/callcenter.toml"))
    assert "sticky_seconds" in str(told.value.errors[0])


def test_skills_that_nobody_has_are_worth_a_note() -> None:
    text = SITE.format(redis="", postgres="").replace('name = "sales"', RINGS) + SKILLED
    plan = floor_plan(parse(text, Path("/nowhere/callcenter.toml")))
    staff = [replace(agent(), skills={"chinese": 1, "loan": 1})]
    assert site_skills.unknown_skills(plan, staff) == [
        'number 4001 asks for the skill "trainee", which no agent has '
        "(`callcenter agents skill` gives skills)",
        'queue sales asks for the skill "loans", which no agent has; did you mean "loan"?',
    ]


# People.


def test_skills_are_given_changed_and_taken_away(shell: Shell, database_url: str) -> None:
    said = shell(
        "agents", "add", "1001", "Li", "--queue", "sales=3", "--queue", "repair", "--skill", "Chinese=5"
    )
    assert said.code == 0, said.err
    said = shell("agents", "skill", "1001", "loans=2", "粤语=10")
    assert said.out == "agent 1001: skills chinese=5 loans=2 粤语=10; weights sales=3\n"
    assert shell("agents", "skill", "1001", "chinese=0", "loans=3", "--json").json["skills"] == {
        "loans": 3,
        "粤语": 10,
    }
    assert shell("agents", "weight", "1001", "sales=1", "repair=7").out.endswith("weights repair=7\n")
    assert shell("agents", "show", "1001", "--json").json["skills"] == "loans=3 粤语=10"
    with connect(database_url) as connection:
        [person] = store.people(connection)
    definition = store.definition(person)
    assert (definition.skills, definition.weights) == ({"loans": 3, "粤语": 10}, {"repair": 7})
    assert decode(encode(Agent("1", "A", (), skills={"loans": 3}))).skills == {"loans": 3}
    assert shell("agents", "remove", "1001").code == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("skill", "1001", "chinese"), "expected NAME=LEVEL"),
        (("skill", "1001", "chinese=11"), "a level from 1 to 10"),
        (("skill", "1001", "chinese=-1"), "expected NAME=LEVEL"),
        (("skill", "1001", "a b=1"), "expected the name of a skill"),
        (("skill", "1001", "not=1"), "expected the name of a skill"),
        (("skill", "1002", "chinese=1"), "there is no agent 1002"),
        (("weight", "1001", "sales=0"), "a weight from 1 to 100"),
        (("weight", "1001", "repair=2"), "agent 1001 does not serve queue 'repair'"),
        (("add", "1002", "Wu", "--queue", "sales=x"), "expected QUEUE=WEIGHT"),
    ],
)
def test_bad_skills_and_weights_change_nothing(
    shell: Shell, database_url: str, words: tuple[str, ...], line: str
) -> None:
    assert shell("agents", "add", "1001", "Li", "--queue", "sales", "--skill", "loans=1").code == 0
    said = shell("agents", *words)
    assert said.code == 1
    assert line in said.err
    assert len(said.err.splitlines()) == 1
    with connect(database_url) as connection:
        assert [(each.number, each.skills) for each in store.people(connection)] == [("1001", {"loans": 1})]


def test_a_change_of_skills_raises_the_version(shell: Shell, database_url: str) -> None:
    def version() -> int:
        with connect(database_url) as connection:
            found = connection.execute("SELECT version FROM people_version").fetchone()
            assert found is not None
            return int(found[0])

    shell("agents", "add", "1001", "Li")
    before = version()
    shell("agents", "skill", "1001", "loans=1")
    assert version() > before


def test_a_sheet_may_carry_skills_and_without_them_leaves_them_alone(tmp_path: Path) -> None:
    allowed = Allowed({"sales", "repair"}, ("zh", "en"))
    file = tmp_path / "a.csv"
    file.write_text(
        "工号,姓名,队列,技能\n1001,Li,sales=2 repair,chinese=5、loans:2\n1002,Wu,sales,loans=12\n"
    )
    sheet = read_sheet(file, allowed)
    [row] = sheet.taken
    assert (row.person.skills, row.person.weights) == ({"chinese": 5, "loans": 2}, {"sales": 2})
    assert "loans=12" in sheet.refused[0].reason
    known = Person("1001", "Li", ("sales",), skills={"cards": 1}, weights={"sales": 4})
    file.write_text("number,name,queues\n1001,Li Na,sales\n")
    [changed] = changes(read_sheet(file, allowed), {"1001": known}).changed
    assert (changed.name, changed.skills, changed.weights) == ("Li Na", {"cards": 1}, {"sales": 4})
    file.write_text("number,name,queues,skills\n1001,Li,sales,\n")
    [changed] = changes(read_sheet(file, allowed), {"1001": known}).changed
    assert changed.skills == {}


# Who would be tried.


def keep(redis_url: str, agents: list[Agent], contacts: list[object]) -> None:
    async def run() -> None:
        floor = FloorStore(redis_url, "main")
        assert await floor.acquire(Owner.here())
        await floor.commit(
            Turn(
                contacts={each.id: encode(each) for each in contacts},  # type: ignore[attr-defined]
                agents={each.number: encode(each) for each in agents},
            )
        )
        await floor.close()

    asyncio.run(run())


def test_explain_names_every_agent_and_why(shell: Shell, redis_url: str) -> None:
    now = time.time()
    here = replace(agent("1"), since=now - 60, idle_since=now - 60)
    able = {"chinese": 5, "loans": 1}
    staff = [
        replace(here, number="1", skills=able),
        replace(here, number="2", phone="2", skills={"chinese": 9, "loans": 2}),
        replace(here, number="3", phone="3", skills={"chinese": 1}),
        replace(here, number="4", phone="4", skills={"loans": 1}),
        replace(here, number="5", phone="5", skills=able, presence=Presence.NOT_READY, reason="lunch"),
        replace(here, number="6", phone="", skills=able, presence=Presence.LOGGED_OUT),
        replace(here, number="7", phone="7", skills=able, activity=Activity.TALKING, contact="c9"),
        replace(here, number="8", phone="8", skills=able, resting_until=now + 100),
        replace(here, number="9", phone="9", queues=("repair",)),
    ]
    waiting = replace(contact("w", at=now - 20), head_start=60.0)
    sooner = contact("s", at=now - 100)
    held = replace(contact("h", at=now - 1), held_for="3", held_until=now + 100)
    talking = replace(contact("t"), state=ContactState.TALKING, agent="7")
    keep(redis_url, staff, [waiting, sooner, held, talking])
    said = shell("queues", "explain", "sales", "--call", "w", "--json")
    assert said.code == 0, said.err
    why = {each["agent"]: (each["order"], each["why"]) for each in said.json["agents"]}
    assert list(why)[:2] == ["2", "1"]
    assert why["2"][0] == 1
    assert why["1"][1].startswith("chinese 5, idle for 1:0")
    assert why["3"][1].startswith(
        "lacks chinese >= 3 (has 1) and loans; comes into question when the ring widens, in"
    )
    assert why["4"][1].startswith("lacks chinese >= 3; comes into question when the ring widens, in")
    assert why["5"][1].startswith("not ready for 1:0")
    assert why["5"][1].endswith("(lunch)")
    assert why["6"] == (0, "logged out")
    assert why["7"][1].startswith("talking for 1:0")
    assert why["8"][1].startswith("left alone after a missed offer")
    assert "9" not in why
    assert said.json["asks"] == "chinese >= 3 and loans and not trainee"
    assert "head start 60 s - queue's weight 10 s; number 2 of 3 who wait" in said.json["score"]
    table = shell("queues", "explain", "sales", "--call", "h").out
    assert "the caller waits for agent 3 first" in table
    assert [each["agent"] for each in shell("queues", "explain", "sales", "--json").json["agents"]][:2] == [
        "2",
        "1",
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("salse",), "queue 'salse' is not in the site file: did you mean 'sales'?"),
        (("sales", "--call", "nobody"), "call nobody is not in the centre"),
        (("repair", "--call", "w"), "call w is in queue sales, not in repair"),
        (("sales", "--call", "t"), "call t does not wait: it is talking with agent 7"),
    ],
)
def test_explain_refuses_in_one_line(shell: Shell, redis_url: str, words: tuple[str, ...], line: str) -> None:
    keep(redis_url, [], [contact("w"), replace(contact("t"), state=ContactState.TALKING, agent="7")])
    said = shell("queues", "explain", *words)
    assert said.code == 1
    assert line in said.err
    assert len(said.err.splitlines()) == 1
