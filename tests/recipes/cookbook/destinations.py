"""All that the cookbook sends to, on loopback: the strict fakes of the connectors' own tests, each under its name.

The recipes were written for nobody's account. So where a fake has an account of its own (an organization, a sender, a
bucket), the connection is given that; and where it knows only some fields, it is told those of the recipes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from relay.recipes.yaml_tree import parse, plain
from relay.testing import Answer, Recorded, RecordingServer
from tests.connectors import (
    fake_azure_devops,
    fake_ga4,
    fake_hubspot,
    fake_jira,
    fake_lob,
    fake_mailchimp,
    fake_rally,
    fake_s3,
    fake_salesforce,
    fake_shippo,
    fake_slack,
    fake_stutalk,
    fake_teams,
    fake_twilio,
    fake_webhook,
    fake_zendesk,
)
from tests.connectors.fake_google_cells import Tab
from tests.connectors.fake_google_sheets import BOOK, FakeGoogle
from tests.connectors.fake_oauth import CLIENT_ID, CLIENT_SECRET, FakeOAuth
from tests.connectors.fake_smtp import MailServer
from tests.servers import free_port

SECRET = "s3cret-0123456789"
TABS = ("Low ratings", "Chats", "Meetings", "Parcels")
_CONTACT = {"lastname", "phone", "course_of_interest"}
_LEAD = {"FirstName", "Company", "Email", "Phone", "Country", "LeadSource", "Description", "Relay_Email__c"}


@dataclass
class Destinations:
    """answers  for the connections to any HTTP API: what the test of the recipe in question says that they answer"""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    fakes: dict[str, Callable[[Recorded], Answer]] = field(default_factory=dict)
    mail: MailServer = field(default_factory=MailServer)
    google: FakeGoogle = field(default_factory=FakeGoogle)
    analytics: fake_ga4.FakeGa4 = field(default_factory=fake_ga4.FakeGa4)
    requests: list[tuple[str, Recorded, int]] = field(default_factory=list)

    def __call__(self, request: Recorded) -> Answer:
        name, _, rest = request.target.removeprefix("/").partition("/")
        asked = replace(request, target=f"/{rest}")
        waiting = self.answers.get(name, [])
        fake = self.fakes.get(name)
        answer = fake(asked) if fake is not None else Answer(body=waiting.pop(0) if waiting else {})
        self.requests.append((name, asked, answer.status))
        return answer

    def refused(self) -> list[tuple[str, int, bytes]]:
        return [(name, status, asked.body) for name, asked, status in self.requests if status >= 400]


@contextmanager
def destinations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Destinations]:
    """The workspace's relay.yaml leads to them."""
    monkeypatch.setitem(fake_hubspot.KNOWN, "contacts", fake_hubspot.KNOWN["contacts"] | _CONTACT)
    monkeypatch.setitem(fake_salesforce.KNOWN, "Lead", fake_salesforce.KNOWN["Lead"] | _LEAD)
    monkeypatch.setitem(fake_salesforce.EXTERNAL, "Lead", "Relay_Email__c")
    made = Destinations()
    mail = Controller(made.mail, hostname="127.0.0.1", port=free_port())
    # S3 has a server of its own: the whole path is signed.
    with RecordingServer(made) as server, RecordingServer(fake_s3.FakeS3()) as s3:
        mail.start()
        try:
            lead_here(folder, server.url, s3, mail.port, made)
            yield made
        finally:
            mail.stop()
    assert made.mail.complaints == []


def lead_here(folder: Path, url: str, s3: RecordingServer, mail_port: int, made: Destinations) -> None:
    google, fedex = made.google, FakeOAuth()
    google.tabs = [Tab(title, []) for title in TABS]
    slack = fake_slack.FakeSlack(channels={"U024BE7LH"})
    azure, rally = fake_azure_devops.FakeAzureDevOps(), fake_rally.FakeRally()
    salesforce = fake_salesforce.FakeSalesforce()

    def track(request: Recorded) -> Answer:
        if request.path == "/oauth/token":
            return fedex(request)
        assert request.headers["authorization"] == f"Bearer {fedex.token}"
        return Answer(body=made.answers["fedex"].pop(0))

    def partner(request: Recorded) -> Answer:
        fake_webhook.judge(fake_webhook.SECRET, request)
        return Answer(204)

    here: dict[str, tuple[dict[str, Any], Callable[[Recorded], Answer]]] = {
        "sheets": ({"spreadsheet": BOOK, "service_account": google.key_file(f"{url}/sheets")}, google),
        "slack": ({"webhook": f"{url}/slack{fake_slack.WEBHOOK_PATH}"}, slack),
        "slack-bot": ({"base_url": f"{url}/slack-bot/api", "token": fake_slack.TOKEN}, slack),
        "teams": ({"webhook": f"{url}/teams{fake_teams.PATH}?{fake_teams.QUERY}"}, fake_teams.FakeTeams()),
        "zendesk": ({"email": fake_zendesk.EMAIL, "api_token": fake_zendesk.TOKEN}, fake_zendesk.FakeZendesk()),
        "hubspot": ({"token": fake_hubspot.TOKEN}, fake_hubspot.FakeHubSpot()),
        "salesforce": ({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}, salesforce),
        "mailchimp": (
            {"base_url": f"{url}/mailchimp/3.0", "api_key": fake_mailchimp.KEY},
            fake_mailchimp.FakeMailchimp(),
        ),
        "analytics": ({"measurement_id": fake_ga4.MEASUREMENT_ID, "api_secret": fake_ga4.SECRET}, made.analytics),
        "partner": ({"url": f"{url}/partner/hooks", "secrets": [fake_webhook.SECRET]}, partner),
        "twilio": (
            {"account_sid": fake_twilio.ACCOUNT, "auth_token": "s3cret-auth/token"},
            fake_twilio.FakeTwilio().answer,
        ),
        "lob": ({"base_url": f"{url}/lob/v1", "api_key": fake_lob.KEY}, fake_lob.FakeLob().answer),
        "shippo": ({"token": fake_shippo.TOKEN}, fake_shippo.FakeShippo().answer),
        "jira": ({"api_token": "s3cret-ATATT/x="}, fake_jira.FakeJira().answer),
        "azure": ({"organization": azure.organization, "project": azure.project, "pat": azure.pat}, azure.answer),
        "rally": ({"api_key": rally.api_key, "project": 123}, rally.answer),
        "stutalk": (
            {
                "base_url": f"{url}/stutalk{fake_stutalk.ROOT}",
                "auth": {"basic": {"username": fake_stutalk.USERNAME, "password": fake_stutalk.PASSWORD}},
            },
            fake_stutalk.FakeStutalk(),
        ),
        "fedex": (
            {
                "auth": {
                    "oauth2": {
                        "token_url": f"{url}/fedex/oauth/token",
                        "client_id": CLIENT_ID,
                        "client_secret": CLIENT_SECRET,
                    }
                }
            },
            track,
        ),
    }
    file = folder / "relay.yaml"
    accounts: Any = plain(parse(file.read_text(), "relay.yaml"))
    for name, connection in accounts["connections"].items():
        if connection["connector"] in ("file", "sftp", "postgres"):
            continue
        connection["limit"] = {"rate": "100/s"}
        connection["allow_private"] = True
        if name == "mail":
            connection |= {"host": "127.0.0.1", "port": mail_port, "security": "none"}
            del connection["username"], connection["password"]
            continue
        if name == "bucket":
            keys = {"access_key_id": fake_s3.KEY_ID, "secret_access_key": fake_s3.SECRET}
            connection |= {"base_url": s3.url, "bucket": fake_s3.BUCKET, **keys}
            continue
        if "base_url" in connection or name not in ("slack", "teams", "partner"):
            connection["base_url"] = f"{url}/{name}"
        if name in here:
            settings, made.fakes[name] = here[name]
            connection |= settings
    # What is JSON is YAML, too.
    file.write_text(json.dumps(accounts))
