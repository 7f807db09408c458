"""Values that would be statements, headers, paths or markup, were they ever anything but values."""

from urllib.parse import quote

import pytest

from tests.web.serving import Served
from tests.web.table import questions

pytestmark = pytest.mark.anyio

HOSTILE = (
    "' or '1'='1",
    "1; drop table events; --",
    '" or 1=1 --',
    "') union select id, secret_hash from api_keys --",
    "1/**/and/**/randomblob(1000000000)",
    "%' and 1=cast((select name from accounts) as integer) --",
    ":account_id",
    "?1",
    "x\r\nSet-Cookie: a=b",
    "x\x00y",
    "../../../etc/passwd",
    "😀\u202e\u2028",
    "{{7*7}}${7*7}<script>",
    "9" * 400,
    "-1",
    "1e999",
    "NaN",
    "",
)


async def test_no_value_is_more_than_a_value(served: Served) -> None:
    """B-27, B-12: at every route and in every place an answer below 500, no header of theirs, and nothing lost."""
    customer = await served.customer()
    await customer.make()
    tables = served.columns()
    for question in await questions(served):
        for value in HOSTILE:
            if question.place == "path" and not value:
                continue
            answer = await question.send(customer, value, quote(value, safe=""))
            assert answer.status_code < 500, (str(question), value, answer.text)
            assert "set-cookie" not in answer.headers
            assert "secret_hash" not in answer.text.replace(value, "")
    assert served.columns() == tables
    assert served.main("select count(*) > 0 from messages") == [(1,)]
