"""How somebody wants to be notified."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.errors import RevisionMismatch
from contracts.inbox.commands import UpdatePreferences
from contracts.inbox.events import PreferencesChanged
from contracts.inbox.views import PreferencesView
from handlers.inbox.documents import Preferences
from handlers.inbox.queries import preferences_view
from handlers.inbox.rules import default_preference


async def update_preferences(command: UpdatePreferences, uow: UnitOfWork) -> PreferencesView:
    user = uow.actor.user
    found = await Preferences.get(user)
    preferences = found or Preferences(id=user)
    if command.if_revision not in (None, preferences.revision):
        raise RevisionMismatch(f"The stored revision is {preferences.revision}.")
    for kind, change in (command.kinds or {}).items():
        before = preferences.kinds.get(kind) or default_preference(kind)
        preferences.kinds[kind] = before.model_copy(update=change.model_dump(exclude_unset=True))
    if command.muted is not None:
        preferences.muted = list(dict.fromkeys(command.muted))
    preferences.number += 1
    if found is None:
        preferences.revision = 2  # who has chosen nothing was shown 1
        uow.add(preferences)
    else:
        uow.save(preferences)
    uow.emit(
        PreferencesChanged(
            user_id=user,
            kinds=preferences.kinds,
            muted=tuple(preferences.muted),
            number=preferences.number,
        ),
        preferences,
    )
    return preferences_view(preferences)
