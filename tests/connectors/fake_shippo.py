"""Shippo's shipments and transactions as its SDK (3.9.0) and its documentation have them.

Our requests were held against the SDK's own models once by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from relay.testing.server import Answer, Recorded

TOKEN = "shippo_test_s3cret"
_SHIPMENT = {
    "address_from", "address_to", "address_return", "parcels", "metadata", "shipment_date", "carrier_accounts",
    "customs_declaration", "extra", "async",
}  # fmt: skip
_LABEL = {"rate", "label_file_type", "metadata", "order", "async"}
_PARCEL = {"length", "width", "height", "distance_unit", "weight", "mass_unit", "template"}


@dataclass
class FakeShippo:
    """`RecordingServer(default=FakeShippo().answer)`."""

    token: str = TOKEN
    shipments: list[dict[str, Any]] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    rates: bool = True
    label_status: str = "SUCCESS"
    accounts: list[dict[str, Any]] = field(default_factory=lambda: [{"object_id": "acc_1", "active": True}])
    endless: bool = False

    def answer(self, request: Recorded) -> Answer:
        if request.headers.get("authorization") != f"ShippoToken {self.token}":
            return Answer(401, {"detail": "Token does not exist"})
        assert request.headers["shippo-api-version"] == "2018-02-08"
        if request.method == "GET":
            return self._listed(request.path, dict(request.query))
        assert request.method == "POST"
        assert request.headers["content-type"].partition(";")[0] == "application/json"
        if request.path == "/shipments/":
            return self._shipment(request.json())
        if request.path == "/transactions/":
            return self._label(request.json())
        return Answer(404, "")

    def _listed(self, path: str, query: dict[str, str]) -> Answer:
        kept = {"/shipments/": self.shipments, "/transactions/": self.labels, "/carrier_accounts/": self.accounts}[path]
        page, results = int(query.pop("page", "1")), int(query.pop("results"))
        assert 1 <= results <= 100
        if path == "/shipments/":
            query.pop("object_created_gte", None)
        if path == "/transactions/":
            rate = query.pop("rate")
            kept = [label for label in kept if label["rate"] == rate]
        assert not query, query
        start = (page - 1) * results
        after = "http://next" if self.endless or kept[start + results :] else None
        return Answer(200, {"next": after, "previous": None, "results": kept[start : start + results]})

    def _shipment(self, body: dict[str, Any]) -> Answer:
        assert body.keys() <= _SHIPMENT, body.keys()
        assert body["async"] is False
        assert len(body["metadata"]) <= 100
        for name in ("address_from", "address_to"):
            address = body.get(name)
            if isinstance(address, dict) and "country" not in address:
                return Answer(400, {name: [{"country": ["This field is required."]}]})
        for parcel in body["parcels"]:
            if isinstance(parcel, dict):
                assert parcel.keys() <= _PARCEL
                assert all(isinstance(value, str) for value in parcel.values())
                if float(parcel["weight"]) > 1000:
                    return Answer(400, {"parcels": [{"__all__": ["Weight is too high."]}]})
        number = len(self.shipments) + 1
        rates = [{"object_id": f"rate_{number:04}", "amount": "5.50", "provider": "USPS"}] if self.rates else []
        messages = [] if rates else [{"source": "USPS", "code": "", "text": "No service\nfor this address"}]
        made = {**body, "object_id": f"shp_{number:04}", "status": "SUCCESS", "rates": rates, "messages": messages}
        self.shipments.append(made)
        return Answer(201, made)

    def _label(self, body: dict[str, Any]) -> Answer:
        assert body.keys() <= _LABEL, body.keys()
        assert body["async"] is False
        bad = self.label_status == "ERROR"
        made = {
            "object_id": f"txn_{len(self.labels) + 1:04}",
            "status": self.label_status,
            "rate": body["rate"],
            "metadata": body["metadata"],
            "label_url": "" if bad else "https://deliver.goshippo.com/1.pdf",
            "messages": [{"source": "USPS", "code": "", "text": "The rate has run out"}] if bad else [],
        }
        self.labels.append(made)
        return Answer(201, made)
