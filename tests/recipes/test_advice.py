"""What works as it is written and was hardly meant is a warning, with a code by which it can be ignored."""

from __future__ import annotations

from typing import Any

import pytest

from relay.connector import registry
from relay.recipes import accounts, load_workspace
from relay.recipes.codes import CODES
from tests.recipes.conftest import RELAY_YAML

HEAD = "recipe: r\ncatch: chat\n"
STEP = "steps:\n  a: {to: desk, do: note, with: {title: $.t}}\n"
TAIL = "tests: []\n"
TYPED = RELAY_YAML.replace("{verify:", "{event_type: $.type, verify:")


def warnings(folder: Any, recipe: str, relay_yaml: str = RELAY_YAML) -> list[str]:
    folder.write("relay.yaml", relay_yaml)
    folder.recipe(recipe)
    workspace = folder.load()
    assert folder.lines(workspace) == []
    assert {problem.code for problem in workspace.problems} <= CODES.keys()
    return [
        f"{line} [{one.code}]" for line, one in zip(folder.lines(workspace, "warning"), workspace.problems, strict=True)
    ]


def test_a_recipe_that_says_what_is_meant_has_no_warning(folder: Any) -> None:
    assert warnings(folder, HEAD + STEP + TAIL) == []


# --- what never runs, or always ---


NEVER = "`when` never holds: the recipe wants no event at all [never-runs]"
ALWAYS = "`when` always holds: leave it out, or compare with a value of the event [always-true]"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("false", f"low.yaml:3:7: {NEVER}"),
        ("1 > 2", f"low.yaml:3:7: {NEVER}"),
        ("true", f"low.yaml:3:7: {ALWAYS}"),
        ("""'"a" in ["a"]'""", f"low.yaml:3:8: {ALWAYS}"),
        ("$.rating < 3", None),
        ("$.rating < 3 or true", None),
        ("""'(now() | date("dddd")) == "Sunday"'""", None),
    ],
)
def test_a_condition_that_is_the_same_for_every_event(folder: Any, when: str, expected: str | None) -> None:
    assert warnings(folder, f"{HEAD}when: {when}\n{STEP}{TAIL}") == ([] if expected is None else [expected])


def test_a_step_that_never_runs_and_those_that_cannot_do_without_it(folder: Any) -> None:
    steps = (
        "steps:\n"
        "  a: {to: desk, do: note, when: false, with: {title: x}, save: {id: $.id}}\n"
        "  b: {to: desk, do: note, with: {title: $a.id}, save: {id: $.id}}\n"
        "  c: {to: desk, do: note, with: {title: t}, when: $b.id == 1}\n"
        "  d: {to: desk, do: note, with: {title: $a.id?}}\n"
        "  e: {to: desk, do: note, after: a, with: {title: t}}\n"
        "  f: {to: desk, do: note, when: true, with: {title: t}}\n"
    )
    assert warnings(folder, HEAD + steps + TAIL) == [
        "low.yaml:4:33: `when` never holds: `a` never runs [never-runs]",
        "low.yaml:5:41: `b` never runs: it uses what `a` saves, and `a` never runs [never-runs]",
        "low.yaml:6:51: `c` never runs: it uses what `b` saves, and `b` never runs [never-runs]",
        "low.yaml:9:33: `when` always holds: leave it out, or compare with a value [always-true]",
    ]


def test_types_of_a_source_that_gives_none(folder: Any) -> None:
    told = (
        "low.yaml:3:8: `types` matches nothing: the source `chat` doesn't say what type an event is of; give it an "
        "`event_type:` in relay.yaml, such as $.type [types]"
    )
    assert warnings(folder, f"{HEAD}types: [a.b]\n{STEP}{TAIL}") == [told]
    assert warnings(folder, f"{HEAD}types: [a.b]\n{STEP}{TAIL}", TYPED) == []


@pytest.mark.parametrize(
    ("preset", "types", "expected"),
    [
        ("github", "issues.opened", "GitHub has no type `issues.opened`: did you mean `issues`?"),
        ("github", "[pull_request, issue*]", None),
        ("shopify", "[a/b, a.b]", "Shopify has no type `a.b`: its types look like `orders/create`"),
        ("shopify", "orders*", None),
        ("stripe", "customer.*", None),
        ("standard-webhooks", "a/b", None),
    ],
)  # fmt: skip
def test_types_that_a_vendor_never_gives(folder: Any, preset: str, types: str, expected: str | None) -> None:
    relay_yaml = RELAY_YAML.replace(
        '{verify: {bearer: "${CHAT_TOKEN}"}}', f'{{preset: {preset}, secret: "whsec_MDAwMA=="}}'
    )
    found = warnings(folder, f"{HEAD}types: {types}\n{STEP}{TAIL}", relay_yaml)
    mine = [line for line in found if line.endswith("[types]")]
    assert mine == ([f"low.yaml:3:8: {expected} [types]"] if expected else [])


# --- secrets in clear ---


@pytest.mark.parametrize(
    "field",
    ["Authorization: Bearer abcdef123", "api_key: abcdef123", "X-Api-Key: abcdef123", "password: hunter2x",
     "access_token: abcdef123", "client_secret: abcdef123", "privateKey: abcdef123", "Cookie: session=abcdef"],
)  # fmt: skip
def test_constant_text_under_the_name_of_a_secret(folder: Any, field: str) -> None:
    step = f"steps:\n  a: {{to: desk, do: note, with: {{title: t, row: {{deep: {{{field}}}}}}}}}\n"
    name = field.partition(":")[0]
    (line,) = warnings(folder, HEAD + step + TAIL)
    assert line.startswith(
        f"low.yaml:4:{step.splitlines()[1].index(field) + len(name) + 3}: `{name}` looks like a secret"
    )
    assert line.endswith("put it into relay.yaml, at the connection, as ${NAME} [secret-in-clear]")


@pytest.mark.parametrize(
    "field",
    ["Authorization: $.key", "'Authorization': 'Bearer {{ $.key }}'", "token: ''", "token: true", "password: required",
     "grant_type: client_credentials", "monkey: abcdef123", "author: Ana Sousa",
     "tokens: abcdef123", "keywords: abcdef", "api_key: '***'"],
)  # fmt: skip
def test_what_only_sounds_like_a_secret(folder: Any, field: str) -> None:
    step = f"steps:\n  a: {{to: desk, do: note, with: {{title: t, row: {{{field}}}}}}}\n"
    assert warnings(folder, HEAD + step + TAIL) == []


# Put together here, so that nobody who scans this repository for keys finds one.
SHAPES = [
    ("a live key of Stripe", "sk_" + "live_51H8abcdefghijklmn"),
    ("a token of Slack", "xox" + "b-123456789012-abcdefghij"),
    (
        "the address of a Slack webhook",
        "https://hooks.slack.com/services/" + "T0123456/B0123456/abcdefghijklmnopqrstuvwx",
    ),
    ("an access key of AWS", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("a token of GitHub", "ghp" + "_abcdefghijklmnopqrstuvwxyz0123456789"),
    ("a token of GitHub", "github" + "_pat_abcdefghijklmnopqrstuvwxyz"),
    ("a token of GitLab", "glpat" + "-abcdefghijklmnopqrst"),
    ("a key of SendGrid", "SG." + "abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789"),
    ("a key of Google", "AIza" + "SyA-0123456789abcdefghijklmnopqrstu"),
    ("a token of Shopify", "shpat" + "_0123456789abcdef0123456789abcdef"),
    ("a webhook's signing secret", "whsec" + "_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("a private key", "-----BEGIN RSA " + "PRIVATE KEY-----"),
    ("a signed token (JWT)", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"),
    ("a password in an address", "https://relay:hunter2x" + "@api.example.com/x"),
]


@pytest.mark.parametrize(("what", "secret"), SHAPES, ids=[one[0] + one[1][:6] for one in SHAPES])
def test_text_of_a_well_known_shape_wherever_it_stands(folder: Any, what: str, secret: str) -> None:
    step = f"steps:\n  a: {{to: desk, do: note, with: {{title: 'x {secret} {{{{ $.t }}}}'}}}}\n"
    (line,) = warnings(folder, HEAD + step + TAIL)
    assert f": this looks like {what}, written in clear: put it into relay.yaml" in line
    found = warnings(folder, HEAD + STEP + TAIL, RELAY_YAML + f"alerts:\n  - {{to: desk, with: {{x: '{secret}'}}}}\n")
    assert [
        one for one in found if f"this looks like {what}, written in clear: put it into the environment" in one
    ] != []


def test_a_secret_is_told_once(folder: Any) -> None:
    step = f"steps:\n  a: {{to: desk, do: note, with: {{title: t, row: {{token: {SHAPES[0][1]}}}}}}}\n"
    assert len(warnings(folder, HEAD + step + TAIL)) == 1
    found = warnings(folder, HEAD + STEP + TAIL, RELAY_YAML.replace("${DESK_TOKEN}", SHAPES[0][1]))
    assert [line.partition(": ")[0] for line in found] == ["relay.yaml:4:49"]


@pytest.mark.parametrize(
    "text",
    ["https://example.com/a:b@c", "mailto:ana@example.com", "{{ $.x }}://{{ $.u }}:{{ $.p }}@h", "sk_live_",
     "the AKIA of Kenya", "https://hooks.slack.com/docs", "SG.1.2", "eyJ.eyJ.x"],
)  # fmt: skip
def test_text_that_only_looks_like_it(folder: Any, text: str) -> None:
    assert warnings(folder, HEAD + f"steps:\n  a: {{to: desk, do: note, with: {{title: '{text}'}}}}\n" + TAIL) == []


# --- what nothing uses ---


def test_a_source_that_no_recipe_catches(folder: Any) -> None:
    relay_yaml = RELAY_YAML.replace("connections:", '  form: {verify: {bearer: "${CHAT_TOKEN}"}}\nconnections:')
    told = "no recipe catches the source `form`: its events are accepted, and nothing becomes of them [unused-source]"
    assert warnings(folder, HEAD + STEP + TAIL, relay_yaml) == [f"relay.yaml:3:3: {told}"]


def test_a_broken_recipe_may_use_what_seems_unused(folder: Any) -> None:
    folder.write(
        "relay.yaml", RELAY_YAML.replace("connections:", '  form: {verify: {bearer: "${CHAT_TOKEN}"}}\nconnections:')
    )
    folder.recipe("catch: form\nsteps: {{", "broken")
    folder.recipe(HEAD + STEP + TAIL)
    assert folder.lines(folder.load(), "warning") == []
    folder.recipe("steps: {{", "broken")
    assert folder.lines(folder.load(), "warning") == []


def test_a_table_that_nothing_looks_up(folder: Any) -> None:
    folder.write("tables/courses.csv", "code,title\nG100,Mathematics\n")
    folder.write("tables/tags.csv", "id,tag\n7,vip\n")
    used = 'steps:\n  a: {to: desk, do: note, with: {title: \'$.c | lookup("courses", "title")\'}}\n'
    inline = "tables:\n  yes_no: {y: Yes, n: No}\n"
    assert warnings(folder, HEAD + inline + used + TAIL) == [
        "low.yaml:4:3: nothing looks up the table `yes_no` [unused-table]",
        "tables/tags.csv:1:1: nothing looks up the table `tags` [unused-table]",
    ]
    by_value = "pick: {t: $.t}\nsteps:\n  a: {to: desk, do: note, with: {title: $.c | lookup($t)}}\n"
    assert warnings(folder, HEAD + inline + by_value + TAIL) == []


# --- text that is not sent ---


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (
            "title: Ticket #5",
            "low.yaml:8:21: `#5` is a comment in YAML: put the whole value in quotes if it belongs to it",
        ),
        ("title: Ticket #{{ $.t }}", "low.yaml:8:21: `#{{ $.t }}` is a comment in YAML"),
        ("title: x # of the desk", None),
        ("title: 'x' #y", None),
        ("title: x ## y", None),
        ("title: x#y", None),
    ],
)
def test_a_value_that_loses_its_end_to_a_comment(folder: Any, field: str, told: str | None) -> None:
    found = warnings(folder, f"{HEAD}steps:\n  a:\n    to: desk\n    do: note\n    with:\n      {field}\n{TAIL}")
    assert [line.split(" [")[0] for line in found if line.endswith("[comment]")] == (
        [] if told is None else [found[0].split(" [")[0]]
    )
    assert told is None or found[0].startswith(told)


def test_a_value_that_is_nothing_but_a_comment(folder: Any) -> None:
    folder.recipe(f"{HEAD}steps:\n  a:\n    to: desk\n    do: note\n    with:\n      title: #general\n{TAIL}")
    workspace = folder.load()
    assert folder.lines(workspace) == ["low.yaml:8:7: `title:` is missing"]
    assert folder.lines(workspace, "warning") == [
        "low.yaml:8:14: `#general` is a comment in YAML: put the whole value in quotes if it belongs to it"
    ]


def test_a_reference_is_filled_in_in_relay_yaml_alone(folder: Any) -> None:
    told = (
        "low.yaml:4:49: `${TOKEN}` is filled in in relay.yaml alone, and sent as it stands here: a secret stands at "
        "the connection [sent-as-text]"
    )
    step = 'steps:\n  a: {to: desk, do: note, with: {title: "Bearer ${TOKEN}"}}\n'
    assert warnings(folder, HEAD + step + TAIL) == [told]


# --- what is known and meant ---


@pytest.mark.parametrize(
    ("line", "is_ignored"),
    [
        ("when: false  # relay: ignore never-runs", True),
        ("# relay: ignore never-runs\nwhen: false", True),
        ("when: false  # relay: ignore always-true", False),
        ("when: false  # relay: ignore always-true, never-runs", True),
        ("when: false  # ignore never-runs", False),
        ("timezone: UTC  # relay: ignore never-runs\nwhen: false", False),
        ("when: false\n# relay: ignore never-runs", False),
    ],
)
def test_a_warning_is_ignored_at_its_line(folder: Any, line: str, is_ignored: bool) -> None:
    found = warnings(folder, f"{HEAD}{line}\n{STEP}{TAIL}")
    assert [one.rpartition(" ")[2] for one in found] == ([] if is_ignored else ["[never-runs]"])


def test_an_error_cannot_be_ignored(folder: Any) -> None:
    folder.recipe(HEAD.replace("chat", "caht  # relay: ignore unknown-source") + STEP + TAIL)
    assert len(folder.lines(folder.load())) == 1


def test_a_secret_in_a_setting_that_was_not_made_for_one(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "connector_class", registry.connector_class)
    (tmp_path / "relay.yaml").write_text(
        "connections:\n"
        "  crm:  # relay: ignore unused-connection\n"
        "    connector: http\n"
        "    base_url: https://crm.example.com\n"
        "    headers: {X-Team: support, X-Api-Key: abcdef123}\n"
    )
    (problem,) = load_workspace(tmp_path, {}).problems
    assert str(problem).removeprefix(f"{tmp_path}/") == (
        "relay.yaml:5:43: `X-Api-Key` looks like a secret written in clear: put it into the environment as ${NAME}"
    )


def test_a_sender_that_is_kept_waiting_longer_than_it_waits(folder: Any) -> None:
    slack = RELAY_YAML.replace('{verify: {bearer: "${CHAT_TOKEN}"}}', "{preset: slack, secret: '${CHAT_TOKEN}'}")
    for wait, told in (("", True), ("{wait: 3s}", True), ("{wait: 2s}", False)):
        found = warnings(folder, f"{HEAD}{STEP}respond: {wait or '{}'}\n{TAIL}", slack)
        mine = [line for line in found if "waits for" in line]
        assert bool(mine) is told, found
    assert "Slack waits for 3s, and `respond` for up to 3s" in str(
        warnings(folder, f"{HEAD}{STEP}respond: {{wait: 3s}}\n{TAIL}", slack)
    )


def test_a_sender_of_many_events_at_once_cannot_be_answered_by_a_recipe(folder: Any) -> None:
    split = RELAY_YAML.replace(
        '{verify: {bearer: "${CHAT_TOKEN}"}}', "{verify: {bearer: '${CHAT_TOKEN}'}, split: '$[*]'}"
    )
    folder.write("relay.yaml", split)
    folder.recipe(f"{HEAD}{STEP}respond: {{}}\n{TAIL}")
    told = "low.yaml:5:10: the source `chat` splits a body into many events, and its sender gets but one answer"
    assert folder.lines(folder.load()) == [told]
