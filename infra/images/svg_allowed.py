"""What of SVG 1.1 and 2 draws, and so is let through; whatever else there is, is left out."""

from __future__ import annotations

SHAPES = "circle ellipse line path polygon polyline rect"
STRUCTURE = "svg g defs symbol use switch a view title desc style image"
TEXT = "text tspan textPath tref"
PAINT = "linearGradient radialGradient stop pattern clipPath mask marker filter"
FILTER_PRIMITIVES = frozenset(
    [
        "feBlend",
        "feColorMatrix",
        "feComponentTransfer",
        "feComposite",
        "feConvolveMatrix",
        "feDiffuseLighting",
        "feDisplacementMap",
        "feDropShadow",
        "feFlood",
        "feGaussianBlur",
        "feImage",
        "feMerge",
        "feMorphology",
        "feOffset",
        "feSpecularLighting",
        "feTile",
        "feTurbulence",
    ]
)
FILTER_PARTS = "feDistantLight fePointLight feSpotLight feFuncA feFuncB feFuncG feFuncR feMergeNode"
ANIMATIONS = frozenset(["animate", "animateColor", "animateMotion", "animateTransform", "set"])

ELEMENTS = (
    frozenset(f"{SHAPES} {STRUCTURE} {TEXT} {PAINT} {FILTER_PARTS} mpath".split())
    | FILTER_PRIMITIVES
    | ANIMATIONS
)

_STYLED = """
alignment-baseline baseline-shift clip clip-path clip-rule color color-interpolation
color-interpolation-filters color-rendering direction display dominant-baseline enable-background
fill fill-opacity fill-rule filter flood-color flood-opacity font font-family font-feature-settings
font-kerning font-size font-size-adjust font-stretch font-style font-variant font-weight
glyph-orientation-horizontal glyph-orientation-vertical image-rendering isolation kerning
letter-spacing lighting-color line-height marker marker-end marker-mid marker-start mask mask-type
mix-blend-mode opacity overflow paint-order pointer-events shape-rendering stop-color stop-opacity
stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit
stroke-opacity stroke-width text-align text-anchor text-decoration text-overflow text-rendering
transform-box transform-origin unicode-bidi vector-effect visibility white-space word-spacing
writing-mode
"""
_SHAPED = """
cx cy d dx dy fr fx fy height lengthAdjust method offset pathLength points r rotate rx ry side
spacing startOffset textLength transform width x x1 x2 y y1 y2 preserveAspectRatio viewBox version
baseProfile refX refY orient markerHeight markerUnits markerWidth maskContentUnits maskUnits
clipPathUnits gradientTransform gradientUnits patternContentUnits patternTransform patternUnits
spreadMethod zoomAndPan requiredFeatures requiredExtensions systemLanguage
"""
_FILTERED = """
amplitude azimuth baseFrequency bias diffuseConstant divisor edgeMode elevation exponent filterRes
filterUnits in in2 intercept k1 k2 k3 k4 kernelMatrix kernelUnitLength limitingConeAngle mode
numOctaves operator order pointsAtX pointsAtY pointsAtZ preserveAlpha primitiveUnits radius result
scale seed slope specularConstant specularExponent stdDeviation stitchTiles surfaceScale
tableValues targetX targetY type values xChannelSelector yChannelSelector z
"""
_NAMED = "id class style lang role media"
_ANIMATED = """
accumulate additive attributeName attributeType begin by calcMode dur end fill from keyPoints
keySplines keyTimes max min origin path repeatCount repeatDur restart to values
"""

MOVED = frozenset(f"{_STYLED} {_SHAPED} {_FILTERED}".split())
"""Attributes that an animation may change: never a link, a style or a handler."""
ATTRIBUTES = MOVED | frozenset(f"{_NAMED} {_ANIMATED}".split())

PICTURES = frozenset({"image", "feImage"})
"""Elements that may show a picture which the file itself carries."""
LINKED = PICTURES | frozenset(
    [
        "use",
        "a",
        "linearGradient",
        "radialGradient",
        "pattern",
        "filter",
        "textPath",
        "tref",
        "mpath",
        "mask",
        "clipPath",
    ]
)
"""Elements that may refer to another one, in the same file."""

GREATEST = {
    "numOctaves": 8.0,
    "order": 20.0,
    "radius": 500.0,
    "stdDeviation": 500.0,
    "filterRes": 2000.0,
}
"""Numbers of filters whose cost grows with them, and what they are cut down to."""
