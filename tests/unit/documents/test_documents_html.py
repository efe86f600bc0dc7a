from __future__ import annotations

import pytest

from concertino.contracts.errors import SourceError
from concertino.documents.readers import html

SPHINX = """<!DOCTYPE html><html><head><title>Retries - Acme 2.0 documentation</title><script>var tracked = 1;</script></head>
<body>
<div class="cookie-banner"><p>We use cookies to make you happy.</p></div>
<div class="sphinxsidebar" role="navigation"><a href="#">Next topic</a></div>
<div role="main">
<section id="retries"><h1>Retries<a class="headerlink" href="#retries">¶</a></h1>
<p>A call is tried again<br>when it <em>fails</em> for a moment.</p>
<section id="limits"><h2>Limits<a class="headerlink" href="#limits">¶</a></h2>
<p>There are three:</p>
<ul><li>attempts</li><li>time <b>in all</b></li></ul>
<div class="highlight"><pre><span>retry(</span>\n    <span>attempts=3,</span>\n<span>)</span>\n</pre></div>
<table><thead><tr><th>Name</th><th>Default</th></tr></thead><tbody><tr><td>attempts</td><td>3</td></tr></tbody></table>
</section></section>
<dl class="py function"><dt class="sig" id="acme.retry"><span>acme.</span><span>retry</span>(<em>attempts=3</em>)
<a class="headerlink" href="#acme.retry">¶</a></dt><dd><p>Wraps a call so that it is tried again.</p></dd></dl>
<h2 id="empty">A heading alone</h2>
<h3>No anchor here</h3><p>Last words.</p>
</div>
<footer>Copyright Acme</footer>
</body></html>"""


def test_sections_carry_heading_path_and_nearest_anchor() -> None:
    found = html.read("guide.html", SPHINX.encode())
    assert [(p.title, p.locator.fragment) for p in found] == [
        ("Retries", "retries"),
        ("Retries > Limits", "limits"),
        ("Retries > Limits > acme.retry", "acme.retry"),
        ("Retries > A heading alone > No anchor here", "Retries > A heading alone > No anchor here"),
    ]


def test_code_tables_and_lists_are_kept_and_furniture_is_not() -> None:
    limits = html.read("guide.html", SPHINX.encode())[1].text
    assert "retry(\n    attempts=3,\n)" in limits
    assert "Name | Default\nattempts | 3" in limits
    assert "There are three:\n\n- attempts\n- time in all" in limits
    everything = "\n".join(p.text for p in html.read("guide.html", SPHINX.encode()))
    for furniture in ("cookies", "Next topic", "Copyright", "tracked", "¶"):
        assert furniture not in everything
    assert "acme.retry(attempts=3)\n\nWraps a call so that it is tried again." in everything
    assert "A call is tried again\nwhen it fails for a moment." in everything


def test_a_page_without_a_main_part_loses_its_navigation() -> None:
    menu = "".join(f'<div><a href="/{i}">Menu item number {i}</a></div>' for i in range(30))
    prose = "".join(
        f"<p>Paragraph {i} tells at some length how the queue is drained before the process ends.</p>" for i in range(12)
    )
    page = f"<html><body><div>{menu}</div><div><h1>Draining</h1>{prose}</div></body></html>"
    found = "\n".join(p.text for p in html.read("page.html", page.encode()))
    assert "Draining" in found
    assert "Paragraph 11 tells" in found
    assert "Menu item number 7" not in found


def test_a_class_that_names_furniture_does_not_hide_the_page_itself() -> None:
    page = '<body><main><div class="sidebar-layout"><h1>Title</h1><p>All of the text is in here.</p></div></main></body>'
    assert "All of the text is in here." in html.read("a.html", page.encode())[0].text


def test_a_teaser_marked_as_the_article_is_not_taken_for_the_page_and_scripts_do_not_count() -> None:
    script = f"<script>{'var x = 1;' * 500}</script>"
    teaser = "<article><p>Also read this.</p></article>"
    page = f"<body>{script}<div class='share-wrap'><h1>Title</h1><p>{'The text itself goes on. ' * 20}</p></div>{teaser}</body>"
    found = "".join(p.text for p in html.read("a.html", page.encode()))
    assert "The text itself goes on." in found
    assert "var x" not in found


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        ("<main><p>Grüße</p></main>".encode("latin-1"), "iso-8859-1"),
        ('<meta charset="windows-1252"><main><p>Grüße</p></main>'.encode("cp1252"), None),
        ("<main><p>Grüße</p></main>".encode("utf-16"), None),
        ("<main><p>Grüße</p></main>".encode(), "no-such-charset"),
    ],
)
def test_the_charset_comes_from_server_mark_or_page(data: bytes, charset: str | None) -> None:
    assert html.read("a.html", data, charset)[0].text == "Grüße"


def test_scripts_alone_are_no_page_and_a_redirect_is_blank() -> None:
    with pytest.raises(SourceError, match="drawn by scripts"):
        html.read("app.html", b"<body><div id=root></div><script>render()</script><noscript>Enable it</noscript></body>")
    assert html.read("old.html", b'<meta http-equiv="refresh" content="0; url=new.html"><body></body>') == []


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<div/>", "<svg><div><rect/>", "<x-y>"])
def test_nesting_that_would_stall_the_parser_is_refused(tag: str) -> None:
    with pytest.raises(SourceError, match="deep"):
        html.read("deep.html", (tag * 100_000 + "text").encode())


def test_many_siblings_and_drawings_are_not_deep() -> None:
    page = "<main>" + "<p>one<p>two<br>" * 3_000 + "<svg>" + "<path d='M0'/>" * 5_000 + "</svg></main>"
    assert html.read("wide.html", page.encode())
