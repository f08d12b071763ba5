"""Invitations: who may invite whom, what the mail says, and what becomes of a link."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bus import streams
from bus.broker import decode
from bus.paging import Cursor
from contracts.actor import Actor
from contracts.auth.events import UserRegistered
from contracts.corp.commands import (
    AcceptInvitation,
    AddMember,
    CreateInvitation,
    DeleteOrganization,
    DeleteTeam,
    ResendInvitation,
    RevokeInvitation,
)
from contracts.envelope import Envelope
from contracts.mail.commands import SendMail
from contracts.permissions import GRANTS, Permission, Role
from contracts.sealed import OPEN, Sealed, use_keys
from contracts.types import now
from handlers.corp.documents import Invitation, Membership
from handlers.corp.handlers import Members
from handlers.corp.queries import get_invitation, get_member, get_team, list_invitations
from handlers.corp.worker import adds_directly
from infra.random_tokens import digest_of
from infra.settings import CorpSettings, Settings
from tests.bus.desk import Desk, Refused
from tests.handlers.corp.tenants import (
    at_once,
    member,
    organization,
    person,
    standing,
    team,
)

ANN = "ann@example.com"


@pytest.fixture(autouse=True)
def keys() -> None:
    use_keys([b"k" * 32])


async def mails(corp: Desk) -> list[SendMail]:
    """What mail was asked to send so far, oldest first."""
    found = [
        Envelope.model_validate_json(decode(fields))
        for _, fields in await corp.redis.xrange(streams.commands("mail"))
    ]
    return [SendMail.model_validate(each.data, context=OPEN) for each in found]


async def last_token(corp: Desk) -> str:
    token = (await mails(corp))[-1].token
    assert token is not None
    return token.reveal()


async def invite(corp: Desk, owner: Actor, email: str = ANN, **more: Any) -> tuple[str, str]:
    """An invitation's id and the token in its mail."""
    made = await corp.do(CreateInvitation(email=email, **more), owner)
    return made["id"], await last_token(corp)


def accepting(token: str) -> AcceptInvitation:
    return AcceptInvitation(token=Sealed(token))


async def age(invitation: str, **by: float) -> None:
    """As if it had been sent earlier."""
    found = await Invitation.get(invitation)
    assert found is not None
    earlier = {
        "sent_at": found.sent_at - timedelta(**by),
        "expires_at": found.expires_at - timedelta(**by),
    }
    await Invitation.get_pymongo_collection().update_one({"_id": invitation}, {"$set": earlier})


async def test_who_is_invited_is_mailed_and_becomes_a_member_by_the_link(corp: Desk) -> None:
    owner = await organization(corp)
    made = await team(corp, owner, role=Role.EDITOR)
    invitation = CreateInvitation(email="ANN@example.com", role=Role.VIEWER, team_ids=(made, made))
    view = await corp.do(invitation, owner)
    assert (view["email"], view["role"], view["status"]) == (ANN, "viewer", "pending")
    assert (view["team_ids"], view["invited_by"]) == ([made], owner.user)
    [mail] = await mails(corp)
    assert (mail.to, mail.template) == (ANN, "invitation")
    assert mail.values == {
        "organization": "Acme", "inviter": "olga", "role": "viewer", "expires": view["expires_at"],
    }  # fmt: skip
    ann = await person(corp, "ann")
    answer = await corp.do(accepting(await last_token(corp)), ann)
    assert answer == {
        "organization_id": owner.org, "name": "Acme", "slug": "acme", "role": "editor",
    }  # fmt: skip
    joined = await get_member(owner, ann.user)
    assert (joined.role, joined.effective_role, joined.teams) == ("viewer", "editor", (made,))
    assert (await get_team(owner, made)).members == 1
    assert (await get_invitation(owner, view["id"])).status == "accepted"
    for event in await corp.events():
        if event["type"].startswith("corp."):
            assert event["org"] == owner.org, event["type"]


async def test_a_token_is_nowhere_in_clear(corp: Desk) -> None:
    owner = await organization(corp)
    _, token = await invite(corp, owner)
    for name in await corp.database.list_collection_names():
        for document in await corp.database[name].find().to_list():
            assert token not in repr(document), name
    for _, fields in await corp.redis.xrange(streams.commands("mail")):
        assert token.encode() not in repr(fields).encode()
    assert await Invitation.find_one({"digest": digest_of(token)}) is not None
    events = [event for event in await corp.events() if "invitation" in event["type"]]
    assert events
    assert ANN not in repr(events), "events are for everybody in the organization"


async def test_a_link_is_for_the_invited_address_alone(corp: Desk) -> None:
    owner = await organization(corp)
    _, token = await invite(corp, owner)
    bob = await person(corp, "bob")
    with pytest.raises(Refused) as refused:
        await corp.do(accepting(token), bob)
    assert refused.value.code == "corp.invitation_for_another"
    assert "ann" not in str(refused.value)
    key = Actor(user="key_1", scopes=frozenset(Permission))
    assert await corp.code_of(accepting(token), key) == "permission_missing"
    ann = await person(corp, "ann")
    assert await corp.code_of(accepting("made up"), ann) == "corp.invitation_not_found"
    assert await corp.code_of(accepting(token), ann) == "done"


async def test_who_has_just_registered_is_waited_for(corp: Desk) -> None:
    owner = await organization(corp)
    _, token = await invite(corp, owner)
    coming = asyncio.create_task(corp.code_of(accepting(token), Actor(user="usr_ann")))
    await corp.redis.ping()
    await corp.react(UserRegistered(user_id="usr_ann", email=ANN, name="Ann"))
    assert await coming == "done"


async def test_of_many_acceptances_at_once_one_makes_a_member(corp: Desk) -> None:
    owner = await organization(corp)
    made = await team(corp, owner)
    _, token = await invite(corp, owner, team_ids=(made,))
    ann = await person(corp, "ann")
    ends = await at_once(corp, *((accepting(token), ann),) * 50)
    assert ends == {"done": 1, "corp.invitation_accepted": 49}
    assert await Membership.find({"user_id": ann.user}).count() == 1
    assert (await get_team(owner, made)).members == 1
    assert len(await corp.events("corp.member.added")) == 2


async def test_an_address_is_invited_once_at_a_time_also_by_many(corp: Desk) -> None:
    owner = await organization(corp)
    names = [ANN, "ANN@example.com", "Ann@EXAMPLE.com"] * 10
    ends = await at_once(corp, *((CreateInvitation(email=email), owner) for email in names))
    assert ends == {"done": 1, "corp.already_invited": 29}
    assert len(await mails(corp)) == 1, "and mailed once"
    other = await organization(corp, "otto")
    assert await corp.code_of(CreateInvitation(email=ANN), other) == "done", "by others too"


async def test_a_member_is_not_invited_and_does_not_accept(corp: Desk) -> None:
    owner = await organization(corp)
    _, token = await invite(corp, owner)
    ann = await member(corp, owner, "ann", Role.VIEWER)
    assert await corp.code_of(CreateInvitation(email=ANN), owner) == "corp.already_member"
    assert await corp.code_of(accepting(token), Actor(user=ann.user)) == "corp.already_member"


async def test_nobody_invites_to_more_than_they_have(corp: Desk) -> None:
    owner = await organization(corp)
    adam = await member(corp, owner, "adam", Role.ADMIN)
    strong = await team(corp, owner, role=Role.ADMIN)
    high = "corp.role_too_high"
    assert await corp.code_of(CreateInvitation(email=ANN, role=Role.OWNER), adam) == high
    scopes = GRANTS[Role.EDITOR] | {Permission.INVITATION_WRITE}
    key = Actor(user="key_1", org=owner.org, scopes=scopes)
    for command in (
        CreateInvitation(email=ANN, role=Role.ADMIN),
        CreateInvitation(email=ANN, team_ids=(strong,)),
    ):
        assert await corp.code_of(command, key) == high
    assert await corp.code_of(CreateInvitation(email=ANN, role=Role.EDITOR), key) == "done"
    assert (await mails(corp))[-1].values["inviter"] == "Acme", "a key has no name of its own"
    made, _ = await invite(corp, owner, "ben@example.com", role=Role.OWNER)
    assert await corp.code_of(ResendInvitation(invitation=made), adam) == high


async def test_an_invitation_is_sent_again_with_a_new_link_at_most_once_a_minute(
    corp: Desk,
) -> None:
    owner = await organization(corp)
    made, first = await invite(corp, owner)
    again = ResendInvitation(invitation=made)
    assert await corp.code_of(again, owner) == "corp.invitation_sent_lately"
    await age(made, seconds=61)
    ends = await at_once(corp, *((again, owner),) * 10)
    assert ends == {"done": 1, "corp.invitation_sent_lately": 9}
    second = await last_token(corp)
    assert first != second
    assert len(await mails(corp)) == 2
    ann = await person(corp, "ann")
    assert await corp.code_of(accepting(first), ann) == "corp.invitation_not_found"
    assert await corp.code_of(accepting(second), ann) == "done"
    assert await corp.code_of(again, owner) == "corp.invitation_accepted"


async def test_an_invitation_expires_and_lives_again_when_it_is_sent_again(corp: Desk) -> None:
    owner = await organization(corp)
    made, token = await invite(corp, owner)
    ann = await person(corp, "ann")
    await age(made, days=7)
    assert await corp.code_of(accepting(token), ann) == "corp.invitation_expired"
    assert (await get_invitation(owner, made)).status == "expired"
    await corp.do(ResendInvitation(invitation=made), owner)
    assert (await get_invitation(owner, made)).status == "pending"
    assert await corp.code_of(accepting(await last_token(corp)), ann) == "done"


async def test_whose_invitation_has_expired_is_invited_anew(corp: Desk) -> None:
    owner = await organization(corp)
    made, token = await invite(corp, owner)
    await age(made, days=8)
    ends = await at_once(corp, *((CreateInvitation(email=ANN), owner),) * 10)
    assert ends == {"done": 1, "corp.already_invited": 9}
    ann = await person(corp, "ann")
    assert await corp.code_of(accepting(token), ann) == "corp.invitation_expired"
    assert await corp.code_of(ResendInvitation(invitation=made), owner) == "corp.invitation_expired"
    assert await corp.code_of(accepting(await last_token(corp)), ann) == "done"


async def test_a_revoked_invitation_is_void(corp: Desk) -> None:
    owner = await organization(corp)
    made, token = await invite(corp, owner)
    revoke = RevokeInvitation(invitation=made)
    wrong = RevokeInvitation(invitation=made, if_revision=9)
    assert await corp.code_of(wrong, owner) == "revision_mismatch"
    assert await at_once(corp, *((revoke, owner),) * 5) == {
        "done": 1, "corp.invitation_revoked": 4,
    }  # fmt: skip
    ann = await person(corp, "ann")
    assert await corp.code_of(accepting(token), ann) == "corp.invitation_revoked"
    assert await corp.code_of(ResendInvitation(invitation=made), owner) == "corp.invitation_revoked"
    assert await corp.code_of(CreateInvitation(email=ANN), owner) == "done"


async def test_revoked_and_accepted_at_once_it_is_one_of_them(corp: Desk) -> None:
    for attempt in range(6):
        owner = await organization(corp, f"olga{attempt}", f"Acme {attempt}")
        made, token = await invite(corp, owner, f"ann{attempt}@example.com")
        ann = await person(corp, f"ann{attempt}")
        ends = await asyncio.gather(
            corp.code_of(RevokeInvitation(invitation=made), owner),
            corp.code_of(accepting(token), ann),
        )
        found = await Membership.find({"user_id": ann.user}).count()
        status = (await get_invitation(owner, made)).status
        assert (status, found) in {("revoked", 0), ("accepted", 1)}, ends
        assert sorted(ends)[-1] == "done"


async def test_a_link_is_void_when_its_organization_is_gone(corp: Desk) -> None:
    owner = await organization(corp)
    _, token = await invite(corp, owner)
    await corp.do(DeleteOrganization(), owner)
    ann = await person(corp, "ann")
    assert await corp.code_of(accepting(token), ann) == "corp.invitation_not_found"
    assert await Invitation.count() == 0


async def test_a_team_that_is_gone_by_then_is_left_out(corp: Desk) -> None:
    owner = await organization(corp)
    made = await team(corp, owner, role=Role.ADMIN)
    _, token = await invite(corp, owner, team_ids=(made,))
    await corp.do(DeleteTeam(team=made), owner)
    ann = await person(corp, "ann")
    await corp.do(accepting(token), ann)
    assert await standing(Actor(user=ann.user, org=owner.org)) == (Role.VIEWER, {})
    late = CreateInvitation(email="ben@example.com", team_ids=(made,))
    assert await corp.code_of(late, owner) == "corp.team_not_found"


async def test_invitations_are_listed_by_what_they_are_now(corp: Desk) -> None:
    owner = await organization(corp)
    made = {
        name: (await invite(corp, owner, f"{name}@example.com"))
        for name in ("pending", "expired", "revoked", "accepted")
    }
    await age(made["expired"][0], days=7)
    await corp.do(RevokeInvitation(invitation=made["revoked"][0]), owner)
    await corp.do(accepting(made["accepted"][1]), await person(corp, "accepted"))
    for status in made:
        found = await list_invitations(owner, Cursor(), status)  # type: ignore[arg-type]
        assert [(each.id, each.status) for each in found.items] == [(made[status][0], status)]
    assert len((await list_invitations(owner, Cursor())).items) == 4
    other = await organization(corp, "otto")
    assert (await list_invitations(other, Cursor())).items == ()
    for command in (
        RevokeInvitation(invitation=made["pending"][0]),
        ResendInvitation(invitation=made["pending"][0]),
    ):
        assert await corp.code_of(command, other) == "corp.invitation_not_found"
    with pytest.raises(Exception, match="no such invitation"):
        await get_invitation(other, made["pending"][0])


async def test_where_members_are_not_added_directly_every_address_is_answered_alike(
    corp: Desk,
) -> None:
    owner = await organization(corp)
    await person(corp, "ann")
    corp.handling.table[AddMember] = Members(direct=False).add_member
    begun = now()
    for email in (ANN, "nobody@example.com", "olga@example.com"):
        for role in Role:
            command = AddMember(email=email, role=role)
            assert await corp.code_of(command, owner) == "corp.invitation_needed"
    assert await Membership.count() == 1
    assert now() - begun < timedelta(seconds=15), "nobody was waited for"


@pytest.mark.parametrize(
    ("environment", "given", "wanted"),
    [
        ("development", None, True),
        ("production", None, False),
        ("production", True, True),
        ("development", False, False),
    ],
)
def test_in_production_nobody_is_added_directly_unless_it_is_set(
    environment: Any, given: bool | None, wanted: bool
) -> None:
    settings = Settings(environment=environment, corp=CorpSettings(direct_members=given))
    assert adds_directly(settings) is wanted
