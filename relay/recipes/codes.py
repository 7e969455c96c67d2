"""The kinds of problems, by the code that a report names them with. A code stays what it is: scripts rely on it."""

from __future__ import annotations

ERRORS: dict[str, str] = {
    "yaml": "The file can't be read: it isn't YAML, or not YAML as it is used here.",
    "missing-key": "A key that is needed is missing or empty.",
    "unknown-key": "A key that nobody knows.",
    "unknown-source": "`catch` names a source that relay.yaml doesn't have.",
    "unknown-connection": "`to` names a connection that relay.yaml doesn't have.",
    "unknown-action": "`do` names an action that the connector doesn't have, or none where there are several.",
    "unknown-step": "A step that the recipe doesn't have.",
    "unknown-policy": "`retry` names a policy that relay.yaml doesn't have.",
    "wrong-kind": "Text where a list or keys are needed, or the other way round.",
    "wrong-value": "A value that a key can't have.",
    "wrong-setting": "A setting of a connection, a source or a step's `with` that isn't valid.",
    "expression": "An expression that can't be read: its grammar, a name, a filter or an argument.",
    "wrong-name": "A name that can't be used.",
    "respond": "An answer to the sender that can't be given: another recipe gives it, or the source splits its bodies.",
    "circle": "Steps that wait for each other.",
    "mistake": "A mistake in a recipe or in relay.yaml.",
}

#: These can be ignored at their line: `# relay: ignore unused-source`.
WARNINGS: dict[str, str] = {
    "not-yet": "A part of the language that this version doesn't have.",
    "doubt": "Something that works and was probably meant otherwise.",
    "unused-pick": "A picked value that nothing uses.",
    "unused-source": "A source that no recipe catches: its events are accepted, and nothing becomes of them.",
    "unused-connection": "A connection that nothing is sent to.",
    "unused-table": "A table that nothing looks up.",
    "never-runs": "A step or a recipe that can never run.",
    "always-true": "A condition that always holds.",
    "types": "Event types that the source never gives.",
    "secret-in-clear": "A secret that stands in the file as it is.",
    "unset-secret": "A secret that isn't set: its source refuses, its connection holds.",
    "unverified": "A source that takes requests from anybody.",
    "no-tests": "A recipe without tests.",
    "sent-as-text": "A path or a name in the midst of text, which is sent as it stands.",
    "comment": "Text after ` #` that was probably not meant as a comment.",
    "not-read": "A file that the relay doesn't read.",
}

CODES: dict[str, str] = {**ERRORS, **WARNINGS}
