"""How corp refuses."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class OrganizationNotFound(DomainError):
    code = "corp.organization_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such organization"


class OrganizationNotEmpty(DomainError):
    code = "corp.organization_not_empty"
    kind = ErrorKind.CONFLICT
    title = "The organization still has brands"


class SlugTaken(DomainError):
    code = "corp.slug_taken"
    kind = ErrorKind.CONFLICT
    title = "Another organization has this slug"


class MemberNotFound(DomainError):
    code = "corp.member_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such member"


class UserUnknown(DomainError):
    code = "corp.user_unknown"
    kind = ErrorKind.INVALID
    title = "Nobody is registered with this address"


class AlreadyMember(DomainError):
    code = "corp.already_member"
    kind = ErrorKind.CONFLICT
    title = "This user is a member already"


class RoleTooHigh(DomainError):
    code = "corp.role_too_high"
    kind = ErrorKind.FORBIDDEN
    title = "You cannot give or take a role above your own"


class LastOwner(DomainError):
    code = "corp.last_owner"
    kind = ErrorKind.CONFLICT
    title = "An organization keeps at least one owner"


class BrandNotFound(DomainError):
    code = "corp.brand_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such brand"


class BrandNameTaken(DomainError):
    code = "corp.brand_name_taken"
    kind = ErrorKind.CONFLICT
    title = "Another brand of this organization has this name"


class BrandNotEmpty(DomainError):
    code = "corp.brand_not_empty"
    kind = ErrorKind.CONFLICT
    title = "The brand still has projects"


class ProjectNotFound(DomainError):
    code = "corp.project_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such project"


class ProjectNameTaken(DomainError):
    code = "corp.project_name_taken"
    kind = ErrorKind.CONFLICT
    title = "Another project of this brand has this name"


class InvitationNeeded(DomainError):
    code = "corp.invitation_needed"
    kind = ErrorKind.FORBIDDEN
    title = "People are invited here, not added: they become members by accepting"


class OwnerAlready(DomainError):
    code = "corp.owner_already"
    kind = ErrorKind.CONFLICT
    title = "This member is an owner already"


class TeamNotFound(DomainError):
    code = "corp.team_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such team"


class TeamNameTaken(DomainError):
    code = "corp.team_name_taken"
    kind = ErrorKind.CONFLICT
    title = "Another team of this organization has this name"


class TeamFull(DomainError):
    code = "corp.team_full"
    kind = ErrorKind.CONFLICT
    title = "The team has as many members as a team may have"


class TooManyTeams(DomainError):
    code = "corp.too_many_teams"
    kind = ErrorKind.CONFLICT
    title = "This member is in as many teams as one may be"


class AlreadyInTeam(DomainError):
    code = "corp.already_in_team"
    kind = ErrorKind.CONFLICT
    title = "This member is in the team already"


class NotInTeam(DomainError):
    code = "corp.not_in_team"
    kind = ErrorKind.NOT_FOUND
    title = "Nobody of that id is in the team"


class BrandRoleNotFound(DomainError):
    code = "corp.brand_role_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "This member or team has no role of its own in the brand"


class BrandRoleTaken(DomainError):
    code = "corp.brand_role_taken"
    kind = ErrorKind.CONFLICT
    title = "This member or team has a role in the brand already"


class TooManyBrandRoles(DomainError):
    code = "corp.too_many_brand_roles"
    kind = ErrorKind.CONFLICT
    title = "There are as many roles in brands as there may be"


class BrandArchived(DomainError):
    code = "corp.brand_archived"
    kind = ErrorKind.CONFLICT
    title = "The brand is archived: restore it first"


class ProjectArchived(DomainError):
    code = "corp.project_archived"
    kind = ErrorKind.CONFLICT
    title = "The project is archived: restore it first"


class KitNameTwice(DomainError):
    code = "corp.kit_name_twice"
    kind = ErrorKind.INVALID
    title = "Two entries of the kit have the same name"


class InvitationNotFound(DomainError):
    code = "corp.invitation_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such invitation"


class InvitationForAnother(DomainError):
    code = "corp.invitation_for_another"
    kind = ErrorKind.FORBIDDEN
    title = "The invitation is for another address than yours"


class AlreadyInvited(DomainError):
    code = "corp.already_invited"
    kind = ErrorKind.CONFLICT
    title = "This address is invited already"


class InvitationSpent(DomainError):
    code = "corp.invitation_accepted"
    kind = ErrorKind.CONFLICT
    title = "The invitation was accepted already"


class InvitationVoid(DomainError):
    code = "corp.invitation_revoked"
    kind = ErrorKind.CONFLICT
    title = "The invitation was taken back"


class InvitationExpired(DomainError):
    code = "corp.invitation_expired"
    kind = ErrorKind.CONFLICT
    title = "The invitation has expired: ask for a new one"


class InvitationSentLately(DomainError):
    code = "corp.invitation_sent_lately"
    kind = ErrorKind.RATE_LIMITED
    title = "The invitation was mailed less than a minute ago"
