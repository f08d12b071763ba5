"""The pages that links of mails open: plain HTML, one style sheet, one module, nothing else.

They hold no secret and ask the same API as everybody. The token of a link stands behind its #
and so never reaches a server but in the body of the request that uses it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from aiohttp import web

from gateway.limits import parse_parameters
from gateway.state import Gateway

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


async def get_verify_page(request: web.Request, _: Gateway, __: None) -> web.Response:
    """The page on which an e-mail address is confirmed."""
    return _page(request, "verify-email.html")


async def get_reset_page(request: web.Request, _: Gateway, __: None) -> web.Response:
    """The page on which a new password is chosen."""
    return _page(request, "reset-password.html")


async def get_invitation_page(request: web.Request, _: Gateway, __: None) -> web.Response:
    """The page on which an invitation is accepted."""
    return _page(request, "accept-invitation.html")


async def get_account_style(request: web.Request, _: Gateway, __: None) -> web.Response:
    """The style sheet of these pages."""
    return _page(request, "account.css")


async def get_account_module(request: web.Request, _: Gateway, __: None) -> web.Response:
    """The module of these pages."""
    return _page(request, "account.js")


def _page(request: web.Request, name: str) -> web.Response:
    parse_parameters(request, None)
    return web.Response(
        text=_text(name),
        content_type=_TYPES[name.rpartition(".")[2]],
        charset="utf-8",
        headers={"Content-Security-Policy": POLICY},
    )


@cache
def _text(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
