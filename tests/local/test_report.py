"""The report of a run and the page of a project's jobs: what is in them, what must not be, what a browser shows."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from conftest import chromium
from projects import Project
from running import dbxdec, define, empty

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("report")

SECRET = "hunter2-hunter2"  # noqa: S105 - made up
KEY = "-----BEGIN KEY-----\nc2VjcmV0bGluZW9uZQ==\nc2VjcmV0bGluZXR3bw==\n-----END KEY-----"
PIPELINE = """
import datetime as dt

from dbxdec import run_date, secret


@job
def other(n: int) -> None:
    @task
    def inner(n: int) -> None:
        print("inner has", n)

    inner(n)


@job(tags={"team": "<b>ops</b>"})
def wild(day: dt.date = run_date(offset_days=-1), words: str = "<script>window.pwned = 1</script>") -> None:
    @task(io_manager=lake.table("bronze/a_table_with_a_rather_long_name_that_no_phone_can_show_on_one_line"))
    def load(item: str) -> pl.DataFrame:
        print(f"</pre><script>window.pwned = 2</script><img src=x onerror='window.pwned = 3'> {item}")
        print("a" * 300)
        return pl.DataFrame({f"column_{i}": [i] for i in range(30)} | {"<i>x</i>": [item]})

    @task(io_manager=lake)
    def clean(load: pl.DataFrame) -> pl.DataFrame:
        return load

    @task
    def tell(clean: pl.LazyFrame) -> str:
        key = secret("vault", "pem").value()
        print("the password is", secret("vault", "key").value())
        print(key)
        return "got " + key[:10]

    @task(max_retries=1)
    def flaky(tell: str) -> int:
        if context().attempt == 1:
            raise ConnectionError("<svg onload='window.pwned = 4'>")
        return 3

    @task
    def fails(flaky: int, words: str) -> None:
        raise ValueError("no quota for " + words)

    @task
    def late() -> None: ...

    told = tell(clean(load(each(["x", "y"]))))
    n = flaky(told)
    branch = condition(told, "==", "no")
    branch.then(late())
    native_task("show", notebook_task={"notebook_path": "notebooks/show"})
    fails(n, words)
    other(n)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a run that has all that a report may show."""
    project = empty(tmp_path_factory.mktemp("report").resolve())
    define(project, PIPELINE)
    secrets = {"DBXDEC_SECRET_VAULT_KEY": SECRET, "DBXDEC_SECRET_VAULT_PEM": KEY}
    said = dbxdec(project, "run", "wild", "--report", "report.html", **secrets)
    assert said.code == 1, said
    assert SECRET not in said.out + said.err
    assert dbxdec(project, "graph", "-o", "graph.html").code == 0
    return project


@pytest.fixture
def report(project: Project) -> str:
    return (project.root / "report.html").read_text(encoding="utf-8")


def test_the_report_has_what_the_run_had(report: str) -> None:
    """States, parameters as the tasks saw them, places with versions and schemas, times, logs, and how to go on."""
    for expected in (
        r"<h1>wild <span class=\"pill bad\">failed",
        r"dbxdec run wild --resume \d+",
        r"<dt>parameter day</dt><dd>\d{4}-\d\d-\d\d</dd>",
        r"<dt>variable lake</dt><dd>lake</dd>",
        r"iteration 1, attempt 1",
        r"lake/bronze/a_table_with_a_rather_long_name_that_no_phone_can_show_on_one_line</div>",
        r"version 0, 1 row",
        r"column_29 <i>Int64</i>",
        r"flaky \(2\)",
        r"ValueError: no quota",
        r"<dt>its own run</dt><dd>\d+</dd>",
        r"notebook_task",
        r"class=\"native",
    ):
        assert re.search(expected, report), expected
    assert 'File "src/shop/pipelines/sales.py' in report.replace("&#34;", '"')


@pytest.mark.parametrize("name", ["report.html", "graph.html"])
def test_a_page_loads_nothing(project: Project, name: str) -> None:
    """No address of anything outside, and a policy that would not let the browser fetch it."""
    text = (project.root / name).read_text(encoding="utf-8")
    addresses = re.findall(r"<[^>]*?\s(?:src|href|action|data)=\"([^\"]*)\"", text)
    assert addresses
    assert [address for address in addresses if not address.startswith("#")] == []
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)", text)) <= {"#arrow"}
    assert "default-src 'none'" in text


def test_nothing_that_is_kept_of_a_run_has_a_secret(project: Project, report: str) -> None:
    """Neither whole nor line by line, in logs, ledger or report."""
    lines = [SECRET, *KEY.splitlines()[1:3]]
    kept = [path for path in (project.root / ".dbxdec/runs").rglob("*") if path.is_file()]
    for path in [project.root / "report.html", *kept]:
        text = path.read_text(encoding="utf-8")
        assert [line for line in lines if line in text] == [], path
    assert "the password is [secret]" in report


LOOK = """
<script>
const wide = [...document.querySelectorAll("body, body *")].filter(one => {
  for (let up = one.parentElement; up; up = up.parentElement)
    if (up.matches(".wide, pre") || up.tagName === "svg") return false
  return !one.matches("script") && one.getBoundingClientRect().right > innerWidth + 1
}).map(one => one.outerHTML.slice(0, 120))
for (const one of document.querySelectorAll("details")) one.open = true
const opened = [...document.querySelectorAll("body, body *")].filter(one => {
  for (let up = one.parentElement; up; up = up.parentElement)
    if (up.matches(".wide, pre") || up.tagName === "svg") return false
  return !one.matches("script") && one.getBoundingClientRect().right > innerWidth + 1
}).map(one => one.outerHTML.slice(0, 120))
for (const one of document.querySelectorAll("details")) one.open = false
const links = [...document.querySelectorAll("svg a")]
links[0].dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, view: window }))
setTimeout(() => {
  const target = decodeURIComponent(links[0].getAttribute("href").slice(1))
  parent.postMessage(JSON.stringify({
    width: innerWidth,
    scrolls: document.documentElement.scrollWidth,
    wide: [...wide, ...opened],
    pwned: window.pwned ?? null,
    clicked: [...document.querySelectorAll("details[open]")].map(one => one.id),
    target,
    dead: links.filter(a => !document.getElementById(decodeURIComponent(a.getAttribute("href").slice(1)))).length,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
  }), "*")
}, 300)
</script>
"""


FRAME = """<!doctype html>
<html style="color-scheme: light dark">
<body>
<script>addEventListener("message", said => { document.body.dataset.seen = said.data })</script>
<iframe style="width: WIDTHpx; height: 1000px; border: 0" src="page.html"></iframe>
</body>
</html>
"""


def seen(page: Path, folder: Path, width: int, dark: bool) -> dict[str, Any]:
    """What a Chromium of that width has seen of a page."""
    program = chromium()
    assert program is not None
    # The policy would not let our own script run; without it the page has to be safe by itself.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    (folder / "page.html").write_text(text.replace("</body>", f"{LOOK}</body>"), encoding="utf-8")
    # A window has a least width, and a frame has none.
    frame = folder / "frame.html"
    frame.write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    done = subprocess.run(
        [
            program,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}"),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--window-size={width + 100},1100",
            "--virtual-time-budget=3000",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(unescape(found[1]))
    return result


@pytest.mark.chromium
@pytest.mark.parametrize("name", ["report.html", "graph.html"])
@pytest.mark.parametrize(("width", "dark"), [(400, False), (400, True), (1400, False), (1400, True)])
def test_a_browser_shows_the_page_whole(project: Project, tmp_path: Path, name: str, width: int, dark: bool) -> None:
    """Nothing is wider than the screen, nothing that a task has printed runs, what is clicked in the picture opens."""
    found = seen(project.root / name, tmp_path, width, dark)
    assert found["width"] == width
    assert found["wide"] == []
    assert found["scrolls"] <= width
    assert found["pwned"] is None
    assert found["dead"] == 0
    assert found["clicked"] == [found["target"]]
    grounds = [sum(map(int, re.findall(r"\d+", found[part])[:3])) for part in ("ground", "ink")]
    assert (grounds[0] < grounds[1]) is dark


@pytest.mark.slow
def test_a_report_replaces_nothing_but_a_report(project: Project) -> None:
    """It is refused before the run begins; `runs report` refuses it as well."""
    own = (project.root / "pyproject.toml").read_bytes()
    for options in (["run", "other", "--report", "pyproject.toml"], ["runs", "report", "-o", "pyproject.toml"]):
        said = dbxdec(project, *options)
        assert said.code == 2
        assert "the report would replace pyproject.toml, which is no report of a run" in said.err
    assert "which is no report" in dbxdec(project, "runs", "report", "-o", "graph.html").err
    assert (project.root / "pyproject.toml").read_bytes() == own
    (project.root / "empty.html").touch()
    for name in ("kept.html", "kept.html", "empty.html"):
        assert dbxdec(project, "runs", "report", "-o", name, "--rows", "0").code == 0


@pytest.mark.slow
def test_a_job_that_an_option_has_taken_is_found(project: Project) -> None:
    """`--report` and `--resume` take a value, which may be missing."""
    said = dbxdec(project, "run", "--report", "wild")
    assert said.code == 2
    assert "`--report wild` takes the job for the value of --report: dbxdec run wild --report" in said.err
