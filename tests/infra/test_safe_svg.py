"""The SVG that may be shown: of public tricks nothing is left that runs or reaches out."""

from __future__ import annotations

import gzip
import re
from xml.etree.ElementTree import Element, fromstring

import pytest

from infra.images.results import ImageRejected
from infra.images.svg import safe_svg
from infra.images.svg_allowed import ATTRIBUTES, ELEMENTS

NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}href"
XML = "{http://www.w3.org/XML/1998/namespace}"

OUTSIDE = re.compile(
    r"https?:|ftp:|file:|//evil|javascript|vbscript|data:(?!image/(?:png|jpe?g|gif|webp)[;,])"
    r"|alert|@import|expression|-moz-binding|behavior|<!|<\?(?!xml version)",
    re.IGNORECASE,
)


def svg(inside: str, attributes: str = "") -> str:
    return f"<svg {NS} {attributes}>{inside}</svg>"


def safe(drawing: str | bytes) -> Element:
    """The sanitised drawing as a tree, once everything that must hold of any has been checked."""
    made = safe_svg(drawing.encode() if isinstance(drawing, str) else drawing)
    shown = re.sub(r' xmlns(:xlink)?="http://www.w3.org/(2000/svg|1999/xlink)"', "", made.decode())
    assert "xmlns" not in shown
    assert not OUTSIDE.search(shown), shown
    root: Element = fromstring(made)
    for element in root.iter():
        assert isinstance(element.tag, str)
        assert element.tag.removeprefix(SVG) in ELEMENTS
        for name, value in element.attrib.items():
            plain = name.replace(XML, "xml:")
            assert not plain.lower().startswith("on")
            if plain in ("href", XLINK):
                assert value.startswith(("#", "data:image/"))
            else:
                assert plain in ATTRIBUTES | {"xml:space", "xml:lang"}
    return root


VECTORS = [
    svg("<script>alert(1)</script>"),
    svg("<script><![CDATA[alert(1)]]></script>"),
    svg('<script href="http://evil/x.js"/>'),
    svg('<script xlink:href="data:text/javascript,alert(1)"/>'),
    svg("<SCRIPT>alert(1)</SCRIPT>"),
    svg("<s:script xmlns:s='http://www.w3.org/2000/svg'>alert(1)</s:script>"),
    svg("<h:script xmlns:h='http://www.w3.org/1999/xhtml'>alert(1)</h:script>"),
    svg("", 'onload="alert(1)"'),
    svg("", 'ONLOAD="alert(1)"'),
    svg("", 'onload\n=\n"alert(1)"'),
    svg("<rect onclick='alert(1)'/>"),
    svg("<rect onmouseover='alert(1)' onfocusin='alert(1)' tabindex='1'/>"),
    svg("<g onbegin='alert(1)'/>"),
    svg("<image href='x' onerror='alert(1)'/>"),
    svg("<animate onbegin='alert(1)' attributeName='x' dur='1s'/>"),
    svg("<set onend='alert(1)' attributeName='x'/>"),
    svg("<style onload='alert(1)'/>"),
    svg("<title><img src='x' onerror='alert(1)'/></title>"),
    svg("<desc><script>alert(1)</script></desc>"),
    svg("<title><style>&lt;script>alert(1)&lt;/script></style></title>").replace("alert(1)", "x"),
    svg(
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></body></foreignObject>"
    ),
    svg("<foreignObject><iframe src='javascript:alert(1)'/></foreignObject>"),
    svg("<foreignObject requiredExtensions='x'><embed src='data:text/html,x'/></foreignObject>"),
    svg(
        "<switch><foreignObject><math><mi href='javascript:alert(1)'/></math></foreignObject></switch>"
    ),
    svg("<iframe xmlns='http://www.w3.org/1999/xhtml' srcdoc='x'/>"),
    svg("<h:object xmlns:h='http://www.w3.org/1999/xhtml' data='http://evil/'/>"),
    svg("<h:link xmlns:h='http://www.w3.org/1999/xhtml' rel='stylesheet' href='http://evil/'/>"),
    svg("<audio src='http://evil/' onerror='alert(1)'/>"),
    svg("<video><source onerror='alert(1)'/></video>"),
    svg("<a href='javascript:alert(1)'><text>x</text></a>"),
    svg("<a xlink:href='javascript:alert(1)'><rect/></a>"),
    svg("<a xlink:href='JaVaScRiPt:alert(1)'/>"),
    svg("<a xlink:href=' javascript:alert(1)'/>"),
    svg("<a xlink:href='java&#9;script:alert(1)'/>"),
    svg("<a xlink:href='java&#10;script&#58;alert(1)'/>"),
    svg("<a xlink:href='&#1;javascript:alert(1)'/>").replace("&#1;", "&#x20;"),
    svg("<a xlink:href='data:text/html;base64,PHNjcmlwdD4='/>"),
    svg("<a xlink:href='vbscript:msgbox(1)'/>"),
    svg("<a href='//evil/'/>"),
    svg("<a href='http://evil/' target='_top'/>"),
    svg("<use href='data:image/svg+xml;base64,PHN2Zz4=#x'/>"),
    svg('<use xlink:href=\'data:image/svg+xml,&lt;svg id="x" onload="alert(1)"/>#x\'/>'),
    svg("<use href='http://evil/x.svg#x'/>"),
    svg("<use href='x.svg#x'/>"),
    svg("<image href='http://evil/x.png'/>"),
    svg("<image href='data:image/svg+xml,&lt;svg/>'/>"),
    svg("<image xlink:href='file:///etc/passwd'/>"),
    svg("<feImage href='http://evil/'/>"),
    svg("<filter id='f'><feImage xlink:href='//evil/x'/></filter>"),
    svg("<linearGradient xlink:href='http://evil/#g'/>"),
    svg("<pattern href='//evil/#g'/>"),
    svg("<textPath href='http://evil/#p'>x</textPath>"),
    svg("<mpath href='http://evil/#p'/>"),
    svg("<tref xlink:href='file:///etc/passwd'/>"),
    svg("<cursor xlink:href='http://evil/'/>"),
    svg("<color-profile xlink:href='http://evil/'/>"),
    svg("<font-face-uri xlink:href='http://evil/'/>"),
    svg("<g xml:base='http://evil/'><use href='#x'/></g>"),
    svg(
        "<g xlink:actuate='onLoad' xlink:show='other' xlink:type='simple' xlink:href='http://evil/'/>"
    ),
    svg("<animate attributeName='href' values='javascript:alert(1)'/>"),
    svg("<a><animate attributeName='xlink:href' to='javascript:alert(1)'/></a>"),
    svg("<set attributeName='href' to='javascript:alert(1)'/>"),
    svg("<set attributeName='onclick' to='alert(1)'/>"),
    svg("<set attributeName='style' to='background:url(http://evil)'/>"),
    svg("<animate xlink:href='#x' attributeName='xlink:href' from='javascript:alert(1)'/>"),
    svg("<animate attributeName='fill' values='url(http://evil/#a);red'/>"),
    svg("<animate href='http://evil/' attributeName='x'/>"),
    svg(
        "<handler type='text/javascript' ev:event='load' xmlns:ev='http://www.w3.org/2001/xml-events'>alert(1)</handler>"
    ),
    svg(
        "<listener event='load' handler='javascript:alert(1)' xmlns='http://www.w3.org/2001/xml-events'/>"
    ),
    svg("<style>@import 'http://evil/x.css';</style>"),
    svg("<style>@import url(http://evil/x.css);</style>"),
    svg("<style>@im@import 'x';port 'http://evil/';</style>"),
    svg("<style>@\\69mport 'http://evil/';</style>"),
    svg("<style>@import/**/'http://evil/x.css'</style>"),
    svg("<style><![CDATA[@import '//evil/x.css']]></style>"),
    svg("<style>*{background:url(http://evil/)}</style>"),
    svg("<style>*{background:u\\72l(http://evil/)}</style>"),
    svg("<style>*{background:URL( 'http://evil/' )}</style>"),
    svg("<style>*{background:url(/**/http://evil/)}</style>"),
    svg("<style>*{fill:url(#/*) url(http://evil/) /**/)}</style>"),
    svg("<style>*{background:image-set('http://evil/' 1x)}</style>"),
    svg("<style>*{background:-webkit-image-set(url(http://evil/) 1x)}</style>"),
    svg("<style>@font-face{font-family:x;src:url(//evil/x.woff)}</style>"),
    svg("<style>*{width:expression(alert(1))}</style>"),
    svg("<style>*{-moz-binding:url(http://evil/x#y)}</style>"),
    svg("<style>*{behavior:url(x.htc)}</style>"),
    svg("<style>a{background:url(javascript:alert(1))}</style>"),
    svg("<style>&lt;/style>&lt;script>alert(1)&lt;/script></style>").replace("alert(1)", "1"),
    svg("<rect style='fill:url(http://evil/#x)'/>"),
    svg("<rect style='background:ur\\6c(//evil/)'/>"),
    svg("<rect fill='url(http://evil/#x)'/>"),
    svg("<rect fill=\"url('//evil/#x')\" filter='url( //evil/f#x )'/>"),
    svg("<rect mask='url(data:image/svg+xml,x#y)'/>"),
    svg("<g clip-path='url(file:///etc/passwd#x)'/>"),
    "<?xml-stylesheet href='http://evil/x.css'?>" + svg("<rect/>"),
    "<?xml version='1.0'?><?xml-stylesheet type='text/xsl' href='//evil/x.xsl'?>" + svg("<rect/>"),
    "<!DOCTYPE svg SYSTEM 'http://evil/x.dtd'>" + svg("<rect/>"),
    "<!DOCTYPE svg [<!ENTITY js 'java'>]>" + svg("<a href='&js;script:alert(1)'/>"),
    "<!DOCTYPE svg [<!ATTLIST rect onclick CDATA 'alert(1)'>]>" + svg("<rect/>"),
    "<!DOCTYPE svg [<!ATTLIST svg onload CDATA #FIXED 'alert(1)'>]>" + svg("<rect/>"),
    svg("<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/passwd'/>"),
    svg("<x:g xmlns:x='http://evil/' onload='alert(1)'/>"),
    "<x:svg xmlns:x='http://www.w3.org/2000/svg' onload='alert(1)'><x:script>alert(1)</x:script></x:svg>",
    "<svg onload='alert(1)'><script>alert(1)</script></svg>",
    svg("<metadata><script>alert(1)</script></metadata>"),
    svg(
        "<math xmlns='http://www.w3.org/1998/Math/MathML'><maction actiontype='statusline'>x</maction></math>"
    ),
    svg("<discard begin='0s' href='#x'/>"),
    svg("<view id='v' viewTarget='javascript:alert(1)'/>"),
    svg("<text><tspan onactivate='alert(1)'>x</tspan></text>"),
]


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{n}" for n in range(len(VECTORS))])
def test_nothing_that_runs_or_reaches_out_is_left(vector: str) -> None:
    safe(vector)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le-bom", "iso-8859-1"])
def test_no_encoding_hides_anything(encoding: str) -> None:
    drawing = svg("<script>alert('é')</script><rect onclick='alert(1)' width='7'/>")
    if encoding == "utf-16-le-bom":
        data = ("\ufeff" + drawing).encode("utf-16-le")
    elif encoding == "iso-8859-1":
        data = f'<?xml version="1.0" encoding="iso-8859-1"?>{drawing}'.encode(encoding)
    else:
        data = drawing.encode(encoding)
    assert [each.get("width") for each in safe(data)] == ["7"]


def test_utf_7_is_no_encoding_here() -> None:
    """Either it is refused, or what is left was read as what it says."""
    data = b'<?xml version="1.0" encoding="UTF-7"?>+ADw-svg onload=+ACI-alert(1)+ACI-/+AD4-'
    with pytest.raises(ImageRejected):
        safe_svg(data)


def test_what_draws_stays() -> None:
    drawing = svg(
        "<title>a</title><defs><linearGradient id='g'><stop offset='0' stop-color='red'/>"
        "</linearGradient><filter id='f'><feGaussianBlur stdDeviation='2'/></filter>"
        "<symbol id='s' viewBox='0 0 9 9'><path d='M0 0h9'/></symbol></defs>"
        "<style>@media (min-width:1px) { .a &gt; .b { fill: url('#g') } }</style>"
        "<use xlink:href='#s' width='9' fill='url(#g)' filter='url(#f)' class='a'/>"
        "<text xml:space='preserve'>before<tspan dy='1'>in</tspan>after</text>"
        "<image href='data:image/png;base64,AAAA' width='1' height='1'/>"
        "<rect width='9'><animate attributeName='opacity' values='0;1' dur='1s'/></rect>"
        "<a href='#s'><circle r='1' transform='rotate(3)'/></a>",
        "width='10' height='10' viewBox='0 0 10 10'",
    )
    root = safe(drawing)
    assert len(list(root.iter())) == len(list(fromstring(drawing).iter()))
    assert root.find(f"{SVG}use").attrib == {  # type: ignore[union-attr]
        XLINK: "#s",
        "width": "9",
        "fill": "url(#g)",
        "filter": "url(#f)",
        "class": "a",
    }
    assert "url('#g')" in (root.findtext(f"{SVG}style") or "")
    text = root.find(f"{SVG}text")
    assert text is not None
    assert "".join(text.itertext()) == "beforeinafter"


def test_text_around_what_is_left_out_stays() -> None:
    root = safe(svg("<text>a<script>1</script>b<tspan>c</tspan>d<x/>e</text>"))
    assert "".join(root.itertext()) == "abcde"


def test_what_is_made_safe_stays_as_it_is_when_made_safe_again() -> None:
    for vector in VECTORS:
        once = safe_svg(vector.encode())
        assert safe_svg(once) == once


def test_a_compressed_svg_is_one_and_a_bomb_is_none() -> None:
    safe(gzip.compress(svg("<rect onclick='alert(1)'/>").encode()))
    bomb = gzip.compress(b"<svg>" + b" " * 50_000_000)
    with pytest.raises(ImageRejected) as refusal:
        safe_svg(bomb)
    assert refusal.value.code == "asset.image_too_large"


def uses(levels: int, times: int, reference: str) -> str:
    parts = ["<g id='x0'><rect width='1' height='1'/></g>"]
    for level in range(1, levels):
        inner = reference.replace("ID", f"x{level - 1}") * times
        parts.append(f"<g id='x{level}'>{inner}</g>")
    return svg("<defs>" + "".join(parts) + f"</defs><use href='#x{levels - 1}'/>")


@pytest.mark.parametrize(
    "drawing",
    [
        uses(10, 10, "<use href='#ID'/>"),
        uses(10, 10, "<use xlink:href=' #ID '/>"),
        uses(30, 2, "<use href='#ID'/>"),
        uses(10, 10, "<rect mask='url(#ID)'/>"),
        uses(10, 10, "<rect style='clip-path: url(&quot;#ID&quot;)'/>"),
        uses(100, 1, "<use href='#ID'/>"),
        svg("<g>" * 300 + "</g>" * 300),
        svg("<rect/>" * 200_001),
        svg("<filter>" + "<feTurbulence/>" * 501 + "</filter>"),
        svg(f"<text>{'x' * 10_000_001}</text>"),
    ],
)
def test_a_drawing_without_end_is_refused(drawing: str) -> None:
    with pytest.raises(ImageRejected) as refusal:
        safe_svg(drawing.encode())
    assert refusal.value.code == "asset.image_too_large"


def test_a_reference_to_itself_is_left_out() -> None:
    root = safe(svg("<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>"))
    assert len(list(root.iter(f"{SVG}use"))) == 2
    assert sum("href" in use.attrib for use in root.iter(f"{SVG}use")) == 1


def test_numbers_that_make_filters_slow_are_cut_down() -> None:
    root = safe(
        svg(
            "<filter><feTurbulence numOctaves='99999'/><feGaussianBlur stdDeviation='1e9 3'/>"
            "<feMorphology radius='-5,1e300'/></filter>"
        )
    )
    shown = [each.attrib for each in root[0]]
    assert shown == [{"numOctaves": "8"}, {"stdDeviation": "500 3"}, {"radius": "-5,500"}]
