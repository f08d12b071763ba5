"""What corp does because of other domains' events."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.auth.events import UserRegistered, UserUpdated
from contracts.errors import Retry
from handlers.corp.documents import Membership, Person


async def remember_the_person(event: UserRegistered, uow: UnitOfWork) -> None:
    if await Person.get(event.user_id) is None:
        uow.add(Person(id=event.user_id, email=event.email, name=event.name))


async def rename_the_person(event: UserUpdated, uow: UnitOfWork) -> None:
    person = await Person.get(event.user_id)
    if person is None:
        raise Retry(0.5, "the user's registration has not arrived yet")
    revision = uow.message.revision or person.user_revision + 1
    if revision <= person.user_revision:
        return  # a later one was here first
    person.user_revision = revision
    person.name = event.name
    uow.save(person)
    for membership in await Membership.find({"user_id": event.user_id}).to_list():
        membership.name = event.name
        uow.save(membership)
