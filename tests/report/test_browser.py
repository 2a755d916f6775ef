"""The page in a real browser: no error on its console, no sideways scrolling, filters, contrast in light and dark."""

from __future__ import annotations

import dataclasses as dc
import html as markup
import json
import re
import shutil
import subprocess

import pytest

from saddlepoint.report import build_page, render, render_index
from saddlepoint.report.index import build_index

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DARK = "--blink-settings=preferredColorScheme=0"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: the page is not seen in a browser")

# Light on dark: luminance and contrast as WCAG 2 defines them. What is drawn over pictures has a halo of its own.
PROBE = """
const channels = c => (c.match(/[\\d.]+/g) || []).map(Number);
const light = c => { const [r, g, b] = channels(c).map(v => v / 255)
  .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
function seen(doc) {
  const shown = [...doc.querySelectorAll('.gallery > li')].filter(e => getComputedStyle(e).display !== 'none').length;
  const texts = [...doc.body.querySelectorAll('*')].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && !['title', 'desc'].includes(e.tagName));
  const poor = texts.map(e => { const s = getComputedStyle(e), ink = e.closest('svg') ? s.fill : s.color;
    return [ratio(light(ink), light(behind(e))), e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 40)]; })
    .filter(([r]) => r < 4.5).map(([r, what]) => r.toFixed(2) + ' ' + what);
  return {width: doc.documentElement.scrollWidth, shown, poor, texts: texts.length,
    void: [...doc.querySelectorAll('.void')].filter(e => getComputedStyle(e).display !== 'none').length,
    page: getComputedStyle(doc.body).backgroundColor};
}
"""


def browse(folder, page: str, width: int, *flags: str, act: str = "") -> tuple[dict, str]:
    """What is seen of the page at this width, after ``act`` was done to its document ``doc``, and the console.

    Pages allow no scripts, so a page around it looks in.
    """
    outer = (
        f'<!doctype html><body><iframe id="f" style="border:0;width:{width}px;height:4000px" srcdoc="'
        f"{markup.escape(page)}\"></iframe><script>{PROBE}\nconst f = document.getElementById('f');"
        f"f.onload = () => {{ const doc = f.contentDocument; {act};\n"
        "document.title = JSON.stringify(seen(doc)); };</script></body>"
    )
    (folder / "outer.html").write_text(outer)
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    words += ["--enable-logging=stderr", "--virtual-time-budget=4000", *flags, "--dump-dom"]
    done = subprocess.run(
        [str(CHROMIUM), *words, f"file://{folder / 'outer.html'}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>(\{.*?)</title>", done.stdout)
    assert title, done.stdout[:500]
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(markup.unescape(title[1])), console


@pytest.fixture
def page(summary, read_pixels):
    """With two classes and two attacks in its gallery, of which one pair has no card, and a fatal doubt."""
    linf = summary.threats[0]
    gallery = tuple(dc.replace(e, label=e.sample % 2, attack=("pgd", "square")[e.sample % 2]) for e in linf.gallery)
    fatal = dc.replace(summary.doubts[0], weight="fatal")
    changed = dc.replace(
        summary, threats=(dc.replace(linf, gallery=gallery), summary.threats[1]), doubts=(*summary.doubts, fatal)
    )
    return render(build_page(changed, read_pixels))


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_a_phone_shows_all_of_it_with_contrast(tmp_path, page, flags):
    seen, console = browse(
        tmp_path, page, 360, *flags, act="doc.querySelectorAll('details').forEach(d => d.open = true)"
    )
    assert console == ""
    assert seen["width"] <= 360
    assert seen["texts"] > 150
    assert seen["poor"] == []
    assert (seen["page"] == "rgb(21, 24, 27)") == (flags == (DARK,))


@pytest.mark.parametrize(
    ("chosen", "shown", "void"),
    [((), 15, 0), (("c1",), 7, 0), (("c1", "a1"), 7, 0), (("c0", "a1"), 0, 1), (("c0", "a1", "class"), 7, 0)],
)
def test_filters_filter_without_scripts(tmp_path, page, chosen, shown, void):
    act = ";".join(f"doc.getElementById('g0-{mark}').click()" for mark in chosen)
    seen, console = browse(tmp_path, page, 1000, act=act)
    assert console == ""
    assert (seen["shown"], seen["void"]) == (shown, void)


def test_hostile_and_endless_names_do_no_harm(tmp_path, hostile, read_pixels):
    endless = dc.replace(hostile, title="x" * 300, data={"name": "y" * 300, "classes": ["z" * 300, "w" * 300]})
    for one in (hostile, endless):
        seen, console = browse(tmp_path, render(build_page(one, read_pixels)), 360)
        assert console == ""
        assert seen["width"] <= 360


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_an_index_fits_a_phone_too(tmp_path, summary, flags):
    runs = [tmp_path / name for name in ("a", "b", "c")]
    index = build_index(tmp_path, runs, lambda run: dc.replace(summary, complete=run.name == "a"), "report.html")
    seen, console = browse(tmp_path, render_index(index), 360, *flags)
    assert console == ""
    assert seen["width"] <= 360
    assert seen["poor"] == []


def test_a_script_would_be_refused_and_seen_on_the_console(tmp_path, page):
    """The control of the tests above: what the policy forbids does not run, and what is wrong can be seen."""
    bad = (
        page.replace("--faint: #5c6269", "--faint: #9ca2a9")
        .replace("max-width: 66rem", "width: 66rem")
        .replace("</main>", "<script>document.body.textContent = 'owned'</script></main>")
    )
    seen, console = browse(tmp_path, bad, 1000)
    assert "Content Security Policy" in console
    assert seen["shown"] == 15
    assert seen["width"] > 1000
    assert seen["poor"] != []


def test_it_prints(tmp_path, page):
    (tmp_path / "page.html").write_text(page)
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += [f"--print-to-pdf={tmp_path / 'page.pdf'}", f"file://{tmp_path / 'page.html'}"]
    subprocess.run([str(CHROMIUM), *words], capture_output=True, timeout=120, check=True)
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
