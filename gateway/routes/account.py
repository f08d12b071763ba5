"""Routes of the pages that links of mails open."""

from __future__ import annotations

from gateway.pages import (
    get_account_module,
    get_account_style,
    get_invitation_page,
    get_reset_page,
    get_verify_page,
)
from gateway.table import Access, Route, custom

PUBLIC = Access.PUBLIC
HTML, CSS, MODULE = "text/html", "text/css", "text/javascript"


ACCOUNT: list[Route] = [
    custom("GET", "/account/verify-email", get_verify_page, allow=PUBLIC, produces=HTML),
    custom("GET", "/account/reset-password", get_reset_page, allow=PUBLIC, produces=HTML),
    custom("GET", "/account/accept-invitation", get_invitation_page, allow=PUBLIC, produces=HTML),
    custom("GET", "/account/account.css", get_account_style, allow=PUBLIC, produces=CSS),
    custom("GET", "/account/account.js", get_account_module, allow=PUBLIC, produces=MODULE),
]
