"""Tables: what a file or a recipe says, what `lookup` finds in them, and what is wrong at which line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes import EventView, Names, Scope, compile_expression
from relay.recipes.files import Files
from relay.recipes.tables import Table, key_of, read_tables, table_of

Evaluate = Callable[..., Any]

COURSES = """\
code,title,school
G100,Mathematics,Science
Q300,"English, and others",Humanities
7,Seven,
Łódź,Polish,Humanities
true,Yes,
2.5,Half,
"""


def courses(text: str = COURSES) -> Table:
    return table_of("courses", text, "tables/courses.csv")


def names(**tables: Table) -> Names:
    return Names(tables=tables or {"courses": courses()})


def problems(text: str) -> list[str]:
    return [f"{place.line}: {message}" for place, message in courses(text).problems]


# --- what is found ---


@pytest.mark.parametrize(
    ("value", "title"),
    [
        ("G100", "Mathematics"),
        (" G100\n", "Mathematics"),
        ("Q300", "English, and others"),
        (7, "Seven"),
        (7.0, "Seven"),
        ("7", "Seven"),
        (2.5, "Half"),
        (True, "Yes"),
        ("Ło\u0301dz\u0301", "Polish"),
    ],
)
def test_a_row_is_found_by_its_key_as_a_person_writes_it(evaluate: Evaluate, value: Any, title: str) -> None:
    assert evaluate('$ | lookup("courses", "title")', value, names()) == title


def test_without_a_column_the_row_is_an_object(evaluate: Evaluate) -> None:
    row = {"code": "G100", "title": "Mathematics", "school": "Science"}
    assert evaluate('$ | lookup("courses")', "G100", names()) == row
    assert evaluate('($ | lookup("courses"))["school"]', "G100", names()) == "Science"


def test_a_table_of_two_columns_gives_the_value(evaluate: Evaluate) -> None:
    known = names(tags=table_of("tags", "id,tag\n7,vip\n", "tables/tags.csv"))
    assert evaluate('$ | lookup("tags")', 7, known) == "vip"
    assert evaluate('$ | lookup("tags", "id")', 7, known) == "7"


def test_an_empty_cell_is_empty_text(evaluate: Evaluate) -> None:
    assert evaluate('$ | lookup("courses", "school")', 7, names()) == ""
    assert evaluate('$ | lookup("courses", "school") | default("none")', 7, names()) == "none"


def test_what_stands_for_a_value_without_a_row(evaluate: Evaluate) -> None:
    assert evaluate('$ | lookup("courses", "title", "other")', "X1", names()) == "other"
    assert evaluate('$ | lookup("courses", "title", null)', "X1", names()) is None
    assert evaluate('$.a | lookup("courses", "title", $.b)', {"a": "X1", "b": 5}, names()) == 5
    assert evaluate('$.a? | lookup("courses", "title")', {}, names()) is None


def test_every_item_of_a_list_is_looked_up(evaluate: Evaluate) -> None:
    assert evaluate('$ | map("lookup", "courses", "title")', ["G100", 7], names()) == ["Mathematics", "Seven"]


def test_a_row_that_is_given_is_a_copy_of_its_own(evaluate: Evaluate) -> None:
    known = names()
    evaluate('$ | lookup("courses")', "G100", known)["title"] = "changed"
    assert evaluate('$ | lookup("courses", "title")', "G100", known) == "Mathematics"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("g100", 'lookup: the table `courses` has no row "g100"; did you mean "G100"?'),
        ("G101", 'has no row "G101"; did you mean "G100"?'),
        ("", 'has no row ""; there are `G100`, `Q300`, `7`'),
        ([1], "lookup: a row is found by text or a number, and this is a list"),
        ({}, "and this is an object"),
    ],
)
def test_a_value_without_a_row_names_the_table_and_the_nearest_key(
    evaluate: Evaluate, value: Any, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate('$ | lookup("courses", "title")', value, names())
    assert message in str(caught.value)
    assert str(caught.value).startswith("recipe.yaml:1:5: ")


def test_the_nearest_key_of_a_large_table_is_not_waited_for(evaluate: Evaluate) -> None:
    rows = "".join(f"key{n},{n}\n" for n in range(150_000))
    known = names(courses=courses(f"key,n\n{rows}"))
    started = time.perf_counter()
    with pytest.raises(RecipeError, match='did you mean "key149999"'):
        evaluate('$ | lookup("courses")', "KEY149999", known)
    assert time.perf_counter() - started < 0.5


# --- what is found when the recipe is read ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('$ | lookup("coruses")', "recipe.yaml:1:12: lookup: unknown table `coruses`: did you mean `courses`?"),
        ('$ | lookup("courses", "titel")', "lookup: unknown column of `courses` `titel`: did you mean `title`?"),
        ('$ | lookup("coruses", $.which)', "unknown table `coruses`"),
        ('$ | lookup("courses", "titel", $.other)', "unknown column of `courses` `titel`"),
        ('$ | map("lookup", "coruses")', "unknown table `coruses`"),
        ("$ | lookup", "`lookup` takes 1 to 3 arguments, not 0: lookup(table, column=null, otherwise)"),
        ('$ | lookup("courses", "a", "b", "c")', "`lookup` takes 1 to 3 arguments, not 4"),
        ("$ | lookup(7)", "unknown table `7`"),
    ],
)
def test_a_table_or_column_that_is_not_there_is_found_when_the_recipe_is_read(
    evaluate: Evaluate, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate(text, "G100", names())
    assert message in str(caught.value)


def test_where_there_are_no_tables_it_is_said_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match=r"unknown table `a`: it would be a file, tables/a\.csv"):
        compile_expression('$ | lookup("a")', Place("f"))


def test_a_table_named_by_an_event_is_looked_for_then(evaluate: Evaluate) -> None:
    assert evaluate('"G100" | lookup($, "title")', "courses", names()) == "Mathematics"
    with pytest.raises(RecipeError, match="unknown table `nosuch`"):
        evaluate('"G100" | lookup($, "title")', "nosuch", names())


# --- files ---


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffcode,title,school\nG100,Mathematics,Science\n",
        "code;title;school\r\nG100;Mathematics;Science\r\n",
        "code\ttitle\tschool\nG100\tMathematics\tScience",
        " code , title,school,,\n\n G100 , Mathematics ,Science,,\n,,,,\n",
        'code,"title","school"\n"G100","Mathematics","Science"\n',
    ],
)
def test_the_csv_that_spreadsheets_write_is_understood(text: str) -> None:
    table = courses(text)
    assert not table.problems
    assert table.columns == ("code", "title", "school")
    assert table.rows == {"G100": ("G100", "Mathematics", "Science")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["1: the table is empty: its first line names the columns, such as code,title"]),
        ("\n  \n", ["1: the table is empty: its first line names the columns, such as code,title"]),
        ("code\nG100\n", ["1: a table has two columns or more: the key, and what belongs to it, such as code,title"]),
        ("code,,b\nG100,1,2\n", ["1: column 2 has no name: the first line names every column"]),
        ("a,b,a\n1,2,3\n", ["1: two columns are called `a`: every column has a name of its own"]),
        (
            "a,b\n1,2\n\n1 ,3\n",
            ["4: `1` is there twice, first in line 2: keep one"],
        ),
        (
            "a,b\n1\n2,3,4\n5,6\n",
            [
                "2: this row has 1 cells, and the table has 2 columns",
                "3: this row has 3 cells, and the table has 2 columns; a cell that holds the separator is in quotes",
            ],
        ),
        ("a,b\n,2\n", ["2: this row has no key: `a` is empty"]),
        (
            'a,b\n1,"two\nlines"\n2\n',
            ["4: this row has 1 cells, and the table has 2 columns"],
        ),
        (
            'a,b\n1,2\n3,"x"y\n4,5\n',
            ["3: this row can't be read as CSV: its quotes don't match; inside of quotes, a quote is written twice"],
        ),
        (
            'a,b\n1,"open\n2,3\n',
            ["2: this row can't be read as CSV: its quotes don't match; inside of quotes, a quote is written twice"],
        ),
        (
            f"a,b\n1,{'x' * 200_000}\n",
            ["2: this row can't be read as CSV: a cell is too long; inside of quotes, a quote is written twice"],
        ),
        (",".join(f"c{n}" for n in range(300)), ["1: a table has at most 200 columns"]),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_its_line(text: str, told: list[str]) -> None:
    assert problems(text) == told
    assert courses(text).broken


def test_a_table_has_an_end() -> None:
    told = problems("a,b\n" + "".join(f"{n},x\n" for n in range(200_001)))
    assert told == ["200002: a table has at most 200,000 rows"]


def test_a_file_full_of_mistakes_is_not_told_of_for_ever() -> None:
    assert len(problems("a,b\n" + "x\n" * 5000)) == 20


def files(tmp_path: Path, **contents: bytes) -> Files:
    return Files(tmp_path, {f"tables/{name}.csv": content for name, content in contents.items()})


def test_the_tables_of_a_folder_are_read_and_one_that_is_wrong_takes_none_with_it(tmp_path: Path) -> None:
    tables = read_tables(files(tmp_path, good=COURSES.encode(), bad=b"a,b\n1\n", latin="a,b\né,1\n".encode("cp1252")))
    assert {name: one.broken for name, one in tables.items()} == {"bad": True, "good": False, "latin": True}
    assert [(place.file, place.line, message) for place, message in tables["latin"].problems] == [
        (str(tmp_path / "tables/latin.csv"), 2, "the file isn't UTF-8: save it with that encoding")
    ]


def test_a_table_whose_file_is_the_same_is_not_read_again(tmp_path: Path) -> None:
    first = read_tables(files(tmp_path, a=b"a,b\n1,2\n", b=b"a,b\n1,2\n"))
    second = read_tables(files(tmp_path, a=b"a,b\n1,2\n", b=b"a,b\n1,3\n"), known=first)
    assert second["a"] is first["a"]
    assert second["b"] != first["b"]
    assert second["b"].find(1) == "3"


def test_what_a_table_held_before_it_was_broken_is_in_force(tmp_path: Path) -> None:
    tables = read_tables(files(tmp_path, a=b"a,b\n1\n"), kept={"tables/a.csv": "a,b\n1,before\n"})
    assert tables["a"].find(1) == "before"
    assert not tables["a"].broken
    assert [message for _, message in tables["a"].problems] == ["this row has 1 cells, and the table has 2 columns"]


# --- in a workspace and a recipe ---

RECIPE = """\
recipe: Courses
catch: chat
pick:
  title: $.course | lookup("courses", "title")
  tag: $.tag | lookup("tags")
  phone: $.country | lookup("offices", "phone")
tables:
  tags: {7: vip, 8: $$new, x: null}
  offices:
    GB: {city: London, phone: "+44"}
    PT: {city: [Lisbon, Porto], phone: "+351"}
steps:
  note: {to: desk, do: note, with: {title: "{{ $title }} {{ $tag }} {{ $phone }}"}}
tests: []
"""


def test_a_recipe_looks_into_the_workspaces_tables_and_its_own(folder: Any, view: Callable[..., EventView]) -> None:
    folder.write("tables/courses.csv", COURSES)
    folder.recipe(RECIPE)
    workspace = folder.load()
    assert folder.lines(workspace) == []
    recipe = workspace.recipes["low"]
    event = view({"course": "G100", "tag": 8, "country": "PT"})
    plan = recipe.plan(event)
    assert plan.picks == {"title": "Mathematics", "tag": "$new", "phone": "+351"}
    assert recipe.steps["note"].render(Scope(event, plan.picks))["title"] == "Mathematics $new +351"
    assert set(workspace.tables) == {"courses"}


def test_a_broken_table_breaks_the_recipes_that_use_it_and_no_other(folder: Any) -> None:
    folder.write("tables/courses.csv", "code,title\nG100\n")
    folder.recipe(RECIPE)
    folder.recipe(
        "recipe: other\ncatch: chat\nsteps: {a: {to: desk, do: note, with: {title: x}}}\ntests: []\n", "other"
    )
    workspace = folder.load()
    assert set(workspace.recipes) == {"other"}
    lines = folder.lines(workspace)
    assert "tables/courses.csv:2:1: this row has 1 cells, and the table has 2 columns" in lines
    assert any(
        line.startswith("low.yaml:4:28: lookup: the table `courses` has errors, which are told at") for line in lines
    )


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("  courses: {a: b}", "low.yaml:8:3: there is a table `courses` already, in"),
        ("  t: []", "low.yaml:8:6: the table `t` is written as key: value, or key: {column: value}"),
        ("  t: {}", "low.yaml:8:6: the table `t` is written as key: value"),
        ("  t: x", "low.yaml:8:6: the table `t` is written as key: value"),
        ("  t: {a: 1, b: {c: 2}}", "low.yaml:8:16: the rows of a table are alike"),
        ("  t: {a: {c: 2}, b: 1}", "low.yaml:8:21: the rows of a table are alike"),
        ("  t: {a: {c: 2}, b: {d: 1}}", "low.yaml:8:21: the rows of a table have the same columns, and `c` is not in"),
        ("  t: {'a ': 1, a: 2}", "low.yaml:8:16: `a` is there twice: keep one"),
        ("  t: {a: $.b}", "low.yaml:8:10: a table holds values as they stand"),
        ("  t: {a: {b: ['{{ $x }}']}}", "low.yaml:8:15: a table holds values as they stand"),
        ("  - a", "low.yaml:8:3: `tables` is written as `key: value`, and this is a list"),
    ],
)
def test_a_mistake_in_a_recipes_own_table_is_told_at_its_place(folder: Any, tables: str, message: str) -> None:
    folder.write("tables/courses.csv", COURSES)
    text = RECIPE[: RECIPE.index("  tag:")] + "tables:\n" + tables + RECIPE[RECIPE.index("\nsteps") :]
    folder.recipe(text.replace("pick:", "when: true\ntimezone: UTC\npick:").replace(" {{ $tag }} {{ $phone }}", ""))
    assert any(line.startswith(message) for line in folder.lines(folder.load())), folder.lines(folder.load())


def test_a_column_of_a_table_of_values_is_refused(folder: Any) -> None:
    folder.write("tables/courses.csv", COURSES)
    folder.recipe(RECIPE.replace('lookup("tags")', 'lookup("tags", "name")'))
    assert folder.lines(folder.load()) == [
        "low.yaml:5:23: lookup: a row of `tags` is one value: it has no column `name`"
    ]


# --- any text, any value ---


@given(st.text(alphabet='ab,;\t"\n\r \ufeff\x00é', max_size=80))
def test_any_text_is_a_table_or_has_problems_with_lines(text: str) -> None:
    table = courses(text)
    assert table.broken == bool(table.problems)
    assert all(1 <= place.line <= text.count("\n") + text.count("\r") + 2 for place, _ in table.problems)
    for key, cells in table.rows.items() if not table.broken else ():
        assert len(cells) == len(table.columns)
        assert key_of(key) == key


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2))
def test_any_value_is_a_key_or_refused_in_words(value: Any) -> None:
    try:
        key = key_of(value)
    except ValueError as error:
        assert "a row is found by text or a number" in str(error)  # noqa: PT017
    else:
        assert key_of(key) == key
