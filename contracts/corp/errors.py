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
