"""Imports every contract, for whoever must know them all: relay, OpenAPI, snapshots."""

from __future__ import annotations

import contracts.asset.commands
import contracts.asset.errors
import contracts.asset.events
import contracts.asset.transforms
import contracts.asset.views
import contracts.auth.commands
import contracts.auth.errors
import contracts.auth.events
import contracts.auth.views
import contracts.corp.commands
import contracts.corp.errors
import contracts.corp.events
import contracts.corp.views
import contracts.inbox.commands
import contracts.inbox.errors
import contracts.inbox.events
import contracts.inbox.views
import contracts.mail.commands
import contracts.mail.events
import contracts.mail.views
import contracts.realtime.errors
import contracts.realtime.views  # noqa: F401 - imported to be declared
