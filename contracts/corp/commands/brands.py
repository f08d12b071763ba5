"""What may be asked about brands and who may do what in them."""

from __future__ import annotations

from contracts.base import Command, IfRevision, absent
from contracts.corp.types import GivenRole, Holder, KitColors, KitFonts, KitLogos, Status
from contracts.types import Id, Name


class CreateBrand(Command):
    """Make a brand. Its name is unique in the organization."""

    wire = "corp.brand.create"

    name: Name


class UpdateBrand(Command):
    """Rename, archive or restore a brand, and with it its projects."""

    wire = "corp.brand.update"

    brand: Id
    name: Name = absent()
    status: Status = absent()
    if_revision: IfRevision = None


class DeleteBrand(Command):
    """Remove a brand that has no projects left."""

    wire = "corp.brand.delete"

    brand: Id
    if_revision: IfRevision = None


class UpdateBrandKit(Command):
    """Change a brand's colours, fonts or logos; each list is replaced whole."""

    wire = "corp.brand_kit.update"

    brand: Id
    colors: KitColors = absent()
    fonts: KitFonts = absent()
    logos: KitLogos = absent()
    if_revision: IfRevision = None


class AddBrandRole(Command):
    """Give a member or a team another role in a brand than in the organization."""

    wire = "corp.brand_role.add"

    brand: Id
    holder: Holder
    role: GivenRole


class ChangeBrandRole(Command):
    """Change the role of a member or a team in a brand."""

    wire = "corp.brand_role.change"

    brand: Id
    holder: Holder
    role: GivenRole
    if_revision: IfRevision = None


class RemoveBrandRole(Command):
    """Take the role of a member or a team in a brand away: that in the organization counts."""

    wire = "corp.brand_role.remove"

    brand: Id
    holder: Holder
    if_revision: IfRevision = None
