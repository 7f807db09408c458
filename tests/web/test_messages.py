"""A message is made whole or not at all, and says exactly what the mailer needs."""

import json
import re
import uuid
from typing import Any

import pytest

from tests.web.serving import (
    BASE_URL,
    EMAIL,
    SAFE,
    SHOP,
    Customer,
    Served,
    click_of,
    fields_of,
    path_of,
    pointers_of,
    problem_of,
    somebody,
)

pytestmark = pytest.mark.anyio

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

HTML = (
    '<html><body><a href="https://shop.example.com/?a=1&amp;b=2#top">Shop</a><a href="{{cta}}">Go</a>'
    '<a href="mailto:us@shop.example.com">Write</a><a href="https://legal.example.com/" data-tracker="off">Imprint</a>'
    "</body></html>"
)
WHOLE: dict[str, Any] = {
    "campaign": "spring-sale",
    "recipient": {"email": EMAIL, "external_id": "crm-42"},
    "topic": "offers",
    "html": HTML,
    "text": "Visit https://shop.example.com/ now",
    "metadata": {"segment": "b", "score": 4.5, "vip": True, "n": -3, "none": None},
    "tracking": {"opens": True, "clicks": True, "text_clicks": True},
}


def wanted(**changes: Any) -> dict[str, Any]:
    """A small message with changes; what is None is left out."""
    given = {"campaign": "spring-sale", "recipient": {"email": EMAIL}, **changes}
    return {name: value for name, value in given.items() if value is not None}


async def test_message_is_answered_in_the_shape_of_the_contract(standing: Served, resident: Customer) -> None:
    """201, where it is, and each field that was promised and no other."""
    answer = await resident.api.post("/v1/messages", json=WHOLE)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert SAFE.items() <= dict(answer.headers).items()
    made = answer.json()
    assert answer.headers["location"] == f"{BASE_URL}/v1/messages/{made['id']}"
    assert uuid.UUID(made["id"]).version == 7
    assert TIME.fullmatch(made["created_at"])
    click, text_click = click_of(made), made["text"].removeprefix("Visit ").removesuffix(" now")
    recipient = made["recipient"]["id"]
    assert str(uuid.UUID(recipient)) == recipient
    assert made == {
        "id": made["id"],
        "campaign": "spring-sale",
        "topic": "offers",
        "recipient": {"id": recipient, "external_id": "crm-42", "email": EMAIL},
        "created_at": made["created_at"],
        "html": HTML.replace("https://shop.example.com/?a=1&amp;b=2#top", click).replace(
            "</body>", f'<img src="{made["open_url"]}" width="1" height="1" alt=""></body>'
        ),
        "text": f"Visit {text_click} now",
        "links": [
            {"number": 0, "url": SHOP, "tracked": True},
            {"number": 1, "url": "{{cta}}", "tracked": False, "why": "merge tag"},
            {"number": 2, "url": "mailto:us@shop.example.com", "tracked": False, "why": "mailto link"},
            {"number": 3, "url": "https://legal.example.com/", "tracked": False, "why": "data-tracker is off"},
            {"number": 4, "url": "https://shop.example.com/", "tracked": True},
        ],
        "open_url": made["open_url"],
        "unsubscribe_url": made["unsubscribe_url"],
        "preferences_url": made["preferences_url"],
        "headers": {
            "List-Unsubscribe": f"<{made['unsubscribe_url']}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    }
    for url, place in (
        (made["open_url"], "/o/"),
        (click, "/c/"),
        (text_click, "/c/"),
        (made["unsubscribe_url"], "/u/"),
    ):
        assert url.startswith(f"{BASE_URL}{place}")
    for url, destination in ((click, SHOP), (text_click, "https://shop.example.com/")):
        assert (await standing.reader.head(url)).headers["location"] == destination


async def test_campaign_and_address_are_enough(resident: Customer) -> None:
    """What is not given is null; links to put in by hand are given all the same."""
    answer = await resident.api.post("/v1/messages", json=wanted())
    made = answer.json()
    assert answer.status_code == 201
    assert [made[name] for name in ("topic", "html", "text", "links")] == [None, None, None, []]
    assert made["recipient"]["external_id"] in (None, "crm-42")
    assert made["open_url"].endswith(".gif")


@pytest.mark.parametrize(
    ("tracking", "pixel", "link", "text_link"),
    [
        ({}, True, True, False),
        ({"opens": False}, False, True, False),
        ({"clicks": False}, True, False, False),
        ({"text_clicks": True}, True, True, True),
        ({"clicks": False, "text_clicks": True}, True, False, False),
        ({"opens": False, "clicks": False}, False, False, False),
    ],
)
async def test_only_what_is_wanted_is_tracked(
    resident: Customer, tracking: dict[str, bool], pixel: bool, link: bool, text_link: bool
) -> None:
    """Each switch moves its own part; an opt-out link is given whatever is tracked."""
    made = await resident.make(text="See https://shop.example.com/", tracking=tracking)
    assert ((made["open_url"] is not None), ("<img" in made["html"])) == (pixel, pixel)
    assert (f"{BASE_URL}/c/" in made["html"]) == link
    assert (f"{BASE_URL}/c/" in made["text"]) == text_link
    reasons = [entry.get("why") for entry in made["links"]]
    assert reasons == ([None] if link else ["click tracking is off"]) + [None] * text_link
    assert made["headers"]["List-Unsubscribe"] == f"<{made['unsubscribe_url']}>"


async def test_no_message_fails_for_a_link(resident: Customer) -> None:
    """What cannot be signed stays as it is, and the sender is told why (A4.3)."""
    left = {
        "https://user:pw@shop.example.com/": "a URL with a user name or password is not tracked",
        f"https://shop.example.com/{'x' * 2_048}": "longer than 2,048 characters",
        "https://": "not a complete URL: begin it with https://",
        "//shop.example.com/": "not a complete URL: begin it with https://",
        "javascript:alert(1)": "not a web link",
        "tel:+4930": "tel link",
        "#top": "fragment",
        "": "empty",
        "cid:logo": "cid link",
        f"{BASE_URL}/p/x": "own link",
    }
    html = "".join(f'<a href="{url}">x</a>' for url in left)
    made = await resident.make(html=html, tracking={"opens": False})
    assert made["html"] == html
    assert {link["url"]: link["why"] for link in made["links"]} == left
    assert not any(link["tracked"] for link in made["links"])


LIMITS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no campaign": ({"campaign": None}, ["#/campaign"]),
    "an empty campaign": ({"campaign": ""}, ["#/campaign"]),
    "a campaign of 101 characters": ({"campaign": "c" * 101}, ["#/campaign"]),
    "a campaign with a slash": ({"campaign": "a/b"}, ["#/campaign"]),
    "a campaign with a line end": ({"campaign": "a\r\nb"}, ["#/campaign"]),
    "a campaign with a control character": ({"campaign": "a\x9bb"}, ["#/campaign"]),
    "a campaign that is no text": ({"campaign": 7}, ["#/campaign"]),
    "an empty topic": ({"topic": ""}, ["#/topic"]),
    "a topic of 101 characters": ({"topic": "t" * 101}, ["#/topic"]),
    "a topic with a slash": ({"topic": "/"}, ["#/topic"]),
    "no recipient": ({"recipient": None}, ["#/recipient"]),
    "a recipient that is an address": ({"recipient": EMAIL}, ["#/recipient"]),
    "a recipient without address": ({"recipient": {}}, ["#/recipient/email"]),
    "an address that is none": ({"recipient": {"email": "ada"}}, ["#/recipient/email"]),
    "two addresses": ({"recipient": {"email": "a@x.example,b@x.example"}}, ["#/recipient/email"]),
    "a name with the address": ({"recipient": {"email": "Ada <a@x.example>"}}, ["#/recipient/email"]),
    "an address with a line end": ({"recipient": {"email": "a@x.example\r\nBcc: b@x.example"}}, ["#/recipient/email"]),
    "an unknown field of a recipient": ({"recipient": {"email": EMAIL, "name": "A"}}, ["#/recipient/name"]),
    "an empty external id": ({"recipient": {"email": EMAIL, "external_id": ""}}, ["#/recipient/external_id"]),
    "an external id of 201": ({"recipient": {"email": EMAIL, "external_id": "x" * 201}}, ["#/recipient/external_id"]),
    "an external id with NUL": ({"recipient": {"email": EMAIL, "external_id": "\0"}}, ["#/recipient/external_id"]),
    "both wrong": (
        {"recipient": {"email": "ada", "external_id": ""}, "metadata": {"": 1}},
        ["#/recipient/email", "#/metadata", "#/recipient/external_id"],
    ),
    "21 entries of metadata": ({"metadata": {f"k{n}": 1 for n in range(21)}}, ["#/metadata"]),
    "a metadata key of 41": ({"metadata": {"k" * 41: 1}}, ["#/metadata"]),
    "a metadata value of 501": ({"metadata": {"a/b~c": "v" * 501}}, ["#/metadata/a~1b~0c"]),
    "a metadata value with NUL": ({"metadata": {"k": "\0"}}, ["#/metadata/k"]),
    "a number beyond 64 bits": ({"metadata": {"k": 2**63}}, ["#/metadata/k"]),
    "nested metadata": ({"metadata": {"k": {"deeper": 1}}}, ["#/metadata"]),
    "metadata in a list": ({"metadata": []}, ["#/metadata"]),
    "html that is no text": ({"html": 1}, ["#/html"]),
    "a switch that is a number": ({"tracking": {"opens": 1}}, ["#/tracking/opens"]),
    "an unknown switch": ({"tracking": {"clickz": True}}, ["#/tracking/clickz"]),
    "an unknown field": ({"subject": "Hello"}, ["#/subject"]),
    "an unknown field with odd signs": ({"a/b~ `c": 1}, ["#/a~1b~0 `c"]),
}


@pytest.mark.parametrize(("changes", "pointers"), LIMITS.values(), ids=LIMITS)
async def test_what_is_wrong_is_pointed_at(resident: Customer, changes: dict[str, Any], pointers: list[str]) -> None:
    """422 with a pointer to each flaw, and nothing is made (A7.5)."""
    answer = await resident.api.post("/v1/messages", json=wanted(**changes))
    assert sorted(pointers_of(answer)) == sorted(pointers)


EDGES: dict[str, dict[str, Any]] = {
    "a campaign of 100 characters": {"campaign": "ä" * 100},
    "a campaign that is shorter in NFC": {"campaign": "a\u0308" * 100},
    "a campaign typed with four characters for each": {"campaign": "\u03b1\u0313\u0300\u0345" * 100},
    "a topic of 100 characters": {"topic": "t" * 100},
    "an external id of 200": {"recipient": {"email": EMAIL, "external_id": "x" * 200}},
    "20 entries of metadata": {"metadata": {f"k{n}": 1 for n in range(20)}},
    "a metadata key of 40": {"metadata": {"k" * 40: 1}},
    "a metadata value of 500": {"metadata": {"k": "v" * 500}},
    "the largest numbers": {"metadata": {"a": 2**63 - 1, "b": -(2**63), "c": 1e308}},
    "empty parts": {"html": "", "text": ""},
    "an address of 64 before the @": {"recipient": {"email": f"{'a' * 64}@example.com"}},
    "quotes and brackets": {"campaign": "\"<b>&'", "html": "<p>", "metadata": {"<": ">"}},
}


@pytest.mark.parametrize("changes", EDGES.values(), ids=EDGES)
async def test_limits_are_where_they_are_said_to_be(resident: Customer, changes: dict[str, Any]) -> None:
    """What just fits is taken, and given back as it was."""
    made = await resident.make(**changes)
    read = (await resident.api.get(f"/v1/messages/{made['id']}")).json()
    assert read["metadata"] == changes.get("metadata", {})
    assert read["recipient"] == made["recipient"]


async def test_names_are_compared_after_normalisation(resident: Customer) -> None:
    """ä typed in two ways is one campaign (NFC)."""
    made = await resident.make(campaign="fru\u0308hling", topic="gru\u0308n")
    assert (made["campaign"], made["topic"]) == ("frühling", "grün")


async def test_nothing_is_made_of_a_refused_message(served: Served, customer: Customer) -> None:
    """Neither a message nor a recipient nor a campaign."""
    for changes in ({"recipient": {"email": "ada"}}, {"subject": "x"}, {"metadata": {"k": "v" * 501}}):
        assert (await customer.api.post("/v1/messages", json=wanted(**changes))).status_code == 422
    for table in ("messages", "recipients", "campaigns"):
        assert served.main(f"select count(*) from {table}") == [(0,)]


async def test_suppressed_recipient_gets_no_links(served: Served, customer: Customer) -> None:
    """409 with reason and scope; not one more row is in the database, and nothing in the answer can be sent."""
    made = await customer.make()
    await served.reader.post(made["unsubscribe_url"])
    for changes in ({}, {"topic": "receipts"}, {"recipient": {"email": EMAIL.lower()}}, {"campaign": "new"}):
        answer = await customer.api.post("/v1/messages", json=wanted(**changes))
        assert answer.status_code == 409
        assert problem_of(answer) == "recipient-suppressed"
        assert (answer.json()["reason"], answer.json()["scope"]) == ("unsubscribed", "account")
        assert f"{BASE_URL}/u/" not in answer.text
        assert EMAIL.lower() not in answer.text.lower()
    counts = [served.main(f"select count(*) from {table}") for table in ("messages", "recipients", "campaigns")]
    assert counts == [[(1,)]] * 3


async def test_opt_out_of_one_topic_stops_that_topic_alone(served: Served, customer: Customer) -> None:
    """Rows of a topic count when that topic is asked for."""
    made = await customer.make()
    await served.reader.post(made["unsubscribe_url"])
    served.inbox("update suppressions set scope = 'topic', topic = 'offers'")
    refused = await customer.api.post("/v1/messages", json=wanted(topic="offers"))
    assert (refused.status_code, refused.json()["scope"]) == (409, "topic")
    await customer.make(topic="receipts")
    await customer.make()


async def test_message_is_read_with_its_events(served: Served, customer: Customer) -> None:
    """What it was made with, and what became of it, the newest first; the rewritten parts are not kept."""
    made = await customer.make(metadata={"segment": "b"}, topic="offers")
    await served.reader.get(made["open_url"])
    await served.reader.get(click_of(made))
    answer = await customer.api.get(f"/v1/messages/{made['id']}")
    assert answer.status_code == 200
    found = answer.json()
    events = found.pop("events")
    assert [event["type"] for event in events] == ["clicked", "opened"]
    assert {event["message_id"] for event in events} == {made["id"]}
    kept = {name: value for name, value in made.items() if name not in ("html", "text", "links")}
    assert found == {**kept, "metadata": {"segment": "b"}, "sent_at": None, "events_next": None}


async def test_more_events_than_are_shown_are_led_to(served: Served, customer: Customer) -> None:
    """A thousand are shown, and the URL of the others; at a thousand there is none."""
    made = await customer.make()
    await served.reader.get(made["open_url"])
    path = f"/v1/messages/{made['id']}"
    (event,) = (await customer.api.get(path)).json()["events"]
    copies(served, range(2, 1001))
    read = (await customer.api.get(path)).json()
    assert (len(read["events"]), read["events_next"]) == (1000, None)
    copies(served, range(1001, 1003))
    read = (await customer.api.get(path)).json()
    assert len(read["events"]) == 1000
    following = await customer.api.get(path_of(read["events_next"]))
    rest = following.json()["data"]
    assert [one["sequence"] for one in (*read["events"], *rest)] == list(range(1002, 0, -1))
    assert rest[-1] == event


def copies(served: Served, sequences: range) -> None:
    """Make events that are like the first, each a moment after the one before."""
    names = [column for table, column in served.columns() if table == "events"]
    columns = ", ".join({"id": "n.id", "sequence": "n.sequence"}.get(name, name) for name in names)
    columns = columns.replace("account_id", "e.account_id")
    first = served.main("select hex(id) from events where sequence = 1")[0][0]
    rows = ", ".join(f"(x'{int(first, 16) + (n << 80):032x}', {n})" for n in sequences)
    served.main(
        f"with n (id, sequence) as (values {rows}) insert into events select {columns} from events e, n where"
        " e.sequence = 1"
    )


async def test_recipient_is_one_address_and_keeps_its_latest_external_id(resident: Customer) -> None:
    """The domain knows no case; the local part does. Each message keeps the id it was made with."""
    local = somebody().partition("@")[0]
    first = await resident.make(recipient={"email": f"{local}@example.com", "external_id": "one"})
    second = await resident.make(recipient={"email": f"{local}@EXAMPLE.com", "external_id": "two"})
    third = await resident.make(recipient={"email": f"{local.upper()}@example.com"})
    assert first["recipient"]["id"] == second["recipient"]["id"] != third["recipient"]["id"]
    assert second["recipient"]["email"] == f"{local}@EXAMPLE.com"
    read = (await resident.api.get(f"/v1/messages/{first['id']}")).json()
    assert read["recipient"]["external_id"] == "one"


async def test_same_address_twice_is_two_messages(resident: Customer) -> None:
    """Each has links of its own."""
    first, second = await resident.make(), await resident.make()
    assert first["id"] != second["id"]
    assert first["open_url"] != second["open_url"]


UNKNOWN_IDS = [
    "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1",
    "01935f2e7c117cc2b0f55d9f8ac7a9d1",
    "{01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1}",
    "urn:uuid:01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1",
    "not-an-id",
    "%00",
    "'; drop table messages; --",
    "🙂",
]


async def test_messages_of_others_are_answered_like_unknown_ones(standing: Served, resident: Customer) -> None:
    """Byte for byte, header for header, as an id that does not exist, or is none (B-7)."""
    theirs = await (await standing.customer("Rook")).make()
    paths = [f"/v1/messages/{one}" for one in (theirs["id"], *UNKNOWN_IDS)]
    answers = [await resident.api.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert problem_of(answers[0]) == "not-found"
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {fields_of(answer) for answer in answers} == {fields_of(answers[0])}


async def test_hostile_values_stay_within_their_fields(standing: Served, resident: Customer) -> None:
    """No value becomes a header of the answer, a statement or markup (B-12)."""
    hostile = "x\"'; drop table messages; --<script>&\u2028\u202e"
    made = await resident.make(
        campaign=hostile, metadata={hostile[:40]: hostile}, recipient={"email": somebody(), "external_id": hostile}
    )
    assert (made["campaign"], made["recipient"]["external_id"]) == (hostile, hostile)
    read = await resident.api.get(path_of(f"{BASE_URL}/v1/messages/{made['id']}"))
    assert read.json()["metadata"] == {hostile[:40]: hostile}


async def test_database_that_fails_makes_no_message(served: Served, customer: Customer) -> None:
    """503 with the time to ask again, and no links without the row they need."""
    served.main("alter table messages rename to elsewhere")
    answer = await customer.api.post("/v1/messages", json=wanted())
    assert answer.status_code == 503
    assert problem_of(answer) == "unavailable"
    assert int(answer.headers["retry-after"]) > 0
    assert served.main("select count(*) from recipients") == [(0,)]


async def test_no_message_is_made_when_opt_outs_cannot_be_read(served: Served, customer: Customer) -> None:
    """Who may not be asked for may not be written to."""
    served.inbox("alter table suppressions rename to elsewhere")
    answer = await customer.api.post("/v1/messages", json=wanted())
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
    assert served.main("select count(*) from messages") == [(0,)]


async def test_mail_of_five_mebibytes_is_taken(resident: Customer) -> None:
    """The limit is five mebibytes of body, and a long mail is still whole."""
    html = "<p>" + "x" * (5 * 1024 * 1024 - 1_000)
    made = await resident.make(html=html)
    assert len(json.dumps(wanted(html=html))) < 5 * 1024 * 1024
    assert made["html"].startswith(html)
