"""The messages and events that the documents of the API show."""

from collections.abc import Mapping
from typing import Any

Example = Mapping[str, Any]

_AT = "2026-11-22T10:00:00.000Z"
_ID = "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"
_HOST = "https://t.example.com"
_UNSUBSCRIBE = f"{_HOST}/u/BAEBAgMEBQYHCA"
_RECIPIENT = {"id": "01935f2e-7c11-7001-8aa1-3f0c55e0d9b2", "external_id": "crm-42", "email": "Ada@Example.com"}

QUESTION: Example = {
    "campaign": "spring-sale",
    "topic": "offers",
    "recipient": {"email": "Ada@Example.com", "external_id": "crm-42"},
    "html": '<p><a href="https://shop.example.com/">Look</a></p>',
    "text": "Look: https://shop.example.com/",
    "metadata": {"segment": "b"},
    "tracking": {"opens": True, "clicks": True, "text_clicks": False},
}

MESSAGE: Example = {
    "id": _ID,
    "campaign": "spring-sale",
    "topic": "offers",
    "recipient": _RECIPIENT,
    "created_at": _AT,
    "open_url": f"{_HOST}/o/AQEBAgMEBQYHCA.gif",
    "unsubscribe_url": _UNSUBSCRIBE,
    "preferences_url": f"{_HOST}/p/BQEBAgMEBQYHCA",
    "headers": {"List-Unsubscribe": f"<{_UNSUBSCRIBE}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
}

MADE: Example = {
    **MESSAGE,
    "html": f'<p><a href="{_HOST}/c/AgEBAgMEBQYHCA">Look</a></p>',
    "text": "Look: https://shop.example.com/",
    "links": [{"number": 0, "url": "https://shop.example.com/", "tracked": True}],
}

EVENT: Example = {
    "id": "01935f2e-8d20-7f3a-9c44-0b1d2e3f4a5b",
    "sequence": 2,
    "revision": 1,
    "type": "clicked",
    "occurred_at": _AT,
    "campaign": "spring-sale",
    "topic": "offers",
    "message_id": _ID,
    "recipient": _RECIPIENT,
    "url": "https://shop.example.com/",
    "link": 0,
    "method": None,
    "client": {
        "user_agent": "Mozilla/5.0 (iPhone; ...",
        "name": "Apple Mail",
        "os": "iOS",
        "device": "phone",
        "ip": "203.0.113.0",
        "proxied": False,
        "referrer": None,
    },
    "verdict": {"value": "human", "class": None, "signals": []},
    "metadata": {"segment": "b"},
}

ERASED: Example = {"sequence": 3, "id": "01935f2e-8a11-7d05-8b3c-6e2f1a9c4d70", "type": "erased"}

READ: Example = {**MESSAGE, "metadata": {"segment": "b"}, "sent_at": None, "events": [EVENT], "events_next": None}
