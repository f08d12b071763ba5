"""How a measurement is held against its target."""


def verdict(what: str, figure: float, sign: str, wanted: float) -> str:
    """One line: what was to be reached, what was, and by how much it was missed."""
    reached = figure >= wanted if sign == "≥" else figure <= wanted
    missed = f"missed by {abs(figure - wanted) / wanted:.0%}"
    target = f"{sign} {wanted:,g}"
    return f"{what:<58}{figure:>9,.2f}  {target:>8}  {'reached' if reached else missed}"
