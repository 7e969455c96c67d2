"""The script of the preset google-forms, run by Node with the few objects of Apps Script that it uses.

They are stand-ins, for Apps Script runs at Google alone: each does what developers.google.com/apps-script says, and
anything else the script would ask for is an error.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.presets import PRESETS
from relay.sources.verify import Verifier
from relay.sources.words import placed
from tests.servers import find_program

KEY = "a5ec7e70f7he0pera70r"
URL = "https://relay.example.com/in/google-forms"

STAND_INS = """
const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const seen = {requests: [], slept: [], error: null};
const only = (object) => new Proxy(object, {
  get(target, name) {
    if (!(name in target)) throw new Error('Apps Script has no ' + String(name));
    return target[name];
  },
});
const response = (values) => only({
  getId: () => values.id,
  getTimestamp: () => new Date(values.at),
  getRespondentEmail: () => '',
  getItemResponses: () => values.answers.map(([title, answer]) => only({
    getItem: () => only({getTitle: () => title}),
    getResponse: () => answer,
  })),
});
const properties = only({getProperty: (name) => given.properties[name] || null});
const PropertiesService = only({getScriptProperties: () => properties});
const FormApp = only({getActiveForm: () => only({
  getId: () => 'form-1',
  getTitle: () => 'Enquiry',
  getResponses: (since) => given.responses.filter((one) => new Date(one.at) >= since).map(response),
})});
const Utilities = only({sleep: (milliseconds) => seen.slept.push(milliseconds)});
const UrlFetchApp = only({fetch: (url, options) => {
  seen.requests.push({url, ...options});
  const status = given.statuses.length ? given.statuses.shift() : 202;
  if (typeof status === 'string') throw new Error(status);
  return only({getResponseCode: () => status});
}});
"""

CALL = """
try {
  if (given.call === 'sendLastDay') sendLastDay(); else sendResponse(given.event && {response: response(given.event)});
} catch (error) {
  seen.error = error.message;
}
console.log(JSON.stringify(seen));
"""

RESPONSE = {
    "id": "2_ABaOnuf",
    "at": "2026-03-04T10:21:07Z",
    "answers": [["Name", "Zoë"], ["Subjects", ["Maths", "Physics"]], ["Name", "2nd"], ["__proto__", "x"]],
}


def run(**given: Any) -> dict[str, Any]:
    settings = {"properties": {"RELAY_KEY": KEY}, "responses": [], "statuses": [], "event": RESPONSE, **given}
    script = placed(PRESETS["google-forms"].script, URL, "${GOOGLE_FORMS_SECRET}")
    done = subprocess.run(
        [find_program("node", "nodejs"), "-e", STAND_INS + script + CALL],
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_a_response_is_sent_with_its_answers_by_their_questions() -> None:
    seen = run()
    [request] = seen["requests"]
    assert (request["url"], request["method"], request["contentType"]) == (URL, "post", "application/json")
    assert json.loads(request["payload"]) == {
        "form_id": "form-1",
        "form_title": "Enquiry",
        "response_id": "2_ABaOnuf",
        "submitted_at": "2026-03-04T10:21:07.000Z",
        "email": "",
        "namedValues": {"Name": ["Zoë", "2nd"], "Subjects": ["Maths", "Physics"], "__proto__": ["x"]},
    }
    assert (seen["slept"], seen["error"]) == ([], None)


def test_what_it_sends_is_what_the_preset_accepts() -> None:
    [request] = run()["requests"]
    headers = {name.lower(): value for name, value in request["headers"].items()}
    config = SourceConfig.model_validate({"preset": "google-forms", "secret": KEY})
    sent = Inbound("POST", headers=headers, body=request["payload"].encode())
    assert Verifier(config).verify(sent, 0) == "1 of 1"


def test_it_tries_again_after_a_refusal_and_after_an_error_and_says_the_same() -> None:
    seen = run(statuses=[503, "Address unavailable", 302])
    assert [request["payload"] for request in seen["requests"]] == [seen["requests"][0]["payload"]] * 4
    assert (seen["slept"], seen["error"]) == ([2000, 10000, 30000], None)


def test_in_the_end_it_fails_so_that_google_tells_the_owner() -> None:
    seen = run(statuses=[503] * 9)
    assert len(seen["requests"]) == 5
    assert seen["error"] == "The relay did not take the response 2_ABaOnuf: status 503"
    assert sum(seen["slept"]) < 120_000


def test_it_says_what_is_missing() -> None:
    assert "Script Properties: add RELAY_KEY" in run(properties={})["error"]
    assert "From form, On form submit" in run(event=None)["error"]


def test_the_last_days_responses_can_be_sent_again() -> None:
    late = {**RESPONSE, "id": "late", "at": "2999-01-01T00:00:00Z"}
    seen = run(call="sendLastDay", responses=[RESPONSE, late])
    assert [json.loads(request["payload"])["response_id"] for request in seen["requests"]] == ["late"]
