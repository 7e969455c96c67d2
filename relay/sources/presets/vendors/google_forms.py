"""Google Forms, by a script of the form."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# Google Forms sends nothing by itself: what comes here is what this script sends. A response that is changed later is
# told again under its old id, so all of the body makes the event's id.
SCRIPT = """\
// Sends each response of this form to the relay, as soon as it is submitted.
const RELAY_URL = '{url}';

// How long to wait before each further attempt. Google ends a script after 6 minutes.
const WAITS_SECONDS = [2, 10, 30, 60];

// The function to choose for the trigger.
function sendResponse(e) {
  if (!e || !e.response) {
    throw new Error('Add a trigger for this function: From form, On form submit. It has to be a script of the form.');
  }
  send(e.response);
}

// To run by hand after the relay was away. What it has already is a repeat, and does no harm.
function sendLastDay() {
  const yesterday = new Date(Date.now() - 24 * 60 * 60 * 1000);
  FormApp.getActiveForm().getResponses(yesterday).forEach(send);
}

function send(response) {
  const key = PropertiesService.getScriptProperties().getProperty('RELAY_KEY');
  if (!key) {
    throw new Error('Project Settings, Script Properties: add RELAY_KEY');
  }
  const form = FormApp.getActiveForm();
  const options = {
    method: 'post',
    contentType: 'application/json',
    headers: {'X-Relay-Key': key},
    payload: JSON.stringify({
      form_id: form.getId(),
      form_title: form.getTitle(),
      response_id: response.getId(),
      submitted_at: response.getTimestamp().toISOString(),
      email: response.getRespondentEmail(),
      namedValues: namedValues(response),
    }),
    muteHttpExceptions: true,
    followRedirects: false,
  };
  for (let attempt = 0; ; attempt++) {
    const failure = attemptToSend(options);
    if (!failure) {
      return;
    }
    if (attempt === WAITS_SECONDS.length) {
      // Google mails this to the trigger's owner.
      throw new Error('The relay did not take the response ' + response.getId() + ': ' + failure);
    }
    Utilities.sleep(WAITS_SECONDS[attempt] * 1000);
  }
}

// Why it failed; nothing where it did not.
function attemptToSend(options) {
  try {
    const status = UrlFetchApp.fetch(RELAY_URL, options).getResponseCode();
    return status >= 200 && status < 300 ? '' : 'status ' + status;
  } catch (error) {
    return String(error);
  }
}

// {question: [answers]}, as Google Sheets has it. Questions of one title share a list.
function namedValues(response) {
  const values = Object.create(null);
  response.getItemResponses().forEach(function (answer) {
    const title = answer.getItem().getTitle();
    values[title] = (values[title] || []).concat(answer.getResponse());
  });
  return values;
}
"""

PRESET = Preset(
    name="google-forms",
    vendor="Google Forms",
    page="https://developers.google.com/apps-script/guides/triggers/events",
    asks_for="a secret you make up, which the form's script sends along",
    verify={"header": "X-Relay-Key", "equals": FILL_IN},
    event_id="$ | to_json | hash",
    event_time="$.submitted_at?",
    retries="the script tries 5 times within 2 minutes; what failed can be sent again from there for a day",
    sends="JSON, made by the script below",
    setup=(
        "Make up a secret, such as 32 letters and digits: that is {secret}.",
        "Open the form for editing. Behind the three dots at its top, choose Apps Script.",
        "Delete what is there, paste the script, and save.",
        "Project Settings (the cog) > Script Properties: add RELAY_KEY, and your secret as its value.",
        (
            "Triggers (the clock) > Add Trigger: choose sendResponse, Head, From form, On form submit, and to be "
            "notified of failures immediately. Save, and allow the script what it asks for."
        ),
        "Fill in the form once: its answers are under namedValues, by the questions' titles.",
        "After the relay was away for longer, open the script, choose sendLastDay at the top, and Run.",
    ),
    script=SCRIPT,
    proof="nothing is signed: the script sends the secret along",
)
