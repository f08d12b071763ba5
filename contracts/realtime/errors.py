"""How the notifier refuses."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class TicketInvalid(DomainError):
    """No ticket, or one that is unknown, expired or used."""

    code = "realtime.ticket_invalid"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The ticket is missing, expired or used; POST …/realtime/tickets gives another"


class OriginForbidden(DomainError):
    """A browser's page from elsewhere."""

    code = "realtime.origin_forbidden"
    kind = ErrorKind.FORBIDDEN
    title = "Pages of this origin may not connect"


class UpgradeMissing(DomainError):
    """The WebSocket address was asked for without a valid handshake."""

    code = "realtime.upgrade_missing"
    kind = ErrorKind.MALFORMED
    title = "This address only speaks WebSocket"


class VersionUnsupported(DomainError):
    """A WebSocket handshake of another version than RFC 6455's."""

    code = "realtime.version_unsupported"
    kind = ErrorKind.UPGRADE
    title = "This version of WebSocket is not spoken here"


class HandshakeInvalid(DomainError):
    """A WebSocket handshake that breaks RFC 6455."""

    code = "realtime.handshake_invalid"
    kind = ErrorKind.MALFORMED
    title = "The WebSocket handshake is not valid"


class ChannelMissing(DomainError):
    """An event stream without a channel."""

    code = "realtime.channel_missing"
    kind = ErrorKind.MALFORMED
    title = "Name at least one channel, as in ?channel=org"


class FramesUnknown(DomainError):
    """An event stream was asked for in a form there is not."""

    code = "realtime.frames_unknown"
    kind = ErrorKind.MALFORMED
    title = "frames may be ops, or left out"


class CursorInvalid(DomainError):
    """Not a cursor of ours."""

    code = "realtime.cursor_invalid"
    kind = ErrorKind.MALFORMED
    title = "This is no realtime cursor; take one from a frame or the id of a stream, or none"


class FrameInvalid(DomainError):
    """A client's frame that cannot be understood."""

    code = "realtime.frame_invalid"
    kind = ErrorKind.MALFORMED
    title = "A frame is a JSON object in a text message"


class OpUnknown(DomainError):
    """A client's frame that asks for something there is not."""

    code = "realtime.op_unknown"
    kind = ErrorKind.MALFORMED
    title = "There is no such op; ops are subscribe, unsubscribe, presence and ping"


class AlreadySubscribed(DomainError):
    """The socket has the channel already."""

    code = "realtime.already_subscribed"
    kind = ErrorKind.CONFLICT
    title = "The channel is subscribed already"


class TooManySubscriptions(DomainError):
    """The socket has as many channels as it may."""

    code = "realtime.too_many_subscriptions"
    kind = ErrorKind.RATE_LIMITED
    title = "There are too many channels on this connection"


class ChannelUnknown(DomainError):
    """There is no such kind of channel."""

    code = "realtime.channel_unknown"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such channel; channels are org, me, project:{id} and asset:{id}"


class ChannelGone(DomainError):
    """What the channel was about has been deleted."""

    code = "realtime.channel_gone"
    kind = ErrorKind.NOT_FOUND
    title = "What the channel was about is gone"


class RealtimeUnavailable(DomainError):
    """A dependency is down, or the notifier is stopping."""

    code = "realtime.unavailable"
    kind = ErrorKind.UNAVAILABLE
    title = "Realtime is not available at the moment"


class RequestMalformed(DomainError):
    """Not even HTTP."""

    code = "realtime.request_malformed"
    kind = ErrorKind.MALFORMED
    title = "The request could not be read"


class PathUnknown(DomainError):
    """The notifier serves no such address."""

    code = "realtime.path_unknown"
    kind = ErrorKind.NOT_FOUND
    title = "There is nothing at this address"


class MethodRefused(DomainError):
    """The address is there, the method is not."""

    code = "realtime.method_not_allowed"
    kind = ErrorKind.METHOD
    title = "This address does not know the method"


class RealtimeFailed(DomainError):
    """A fault of ours."""

    code = "realtime.internal_error"
    kind = ErrorKind.INTERNAL
    title = "Something went wrong on our side"


class NotSubscribed(DomainError):
    """Presence is told to those who listen to the channel."""

    code = "realtime.not_subscribed"
    kind = ErrorKind.CONFLICT
    title = "The channel is not subscribed on this connection; subscribe to it first"


class PresenceUnknown(DomainError):
    """Nobody else is on it, so that nobody is present there."""

    code = "realtime.presence_unknown"
    kind = ErrorKind.NOT_FOUND
    title = "This channel has no presence"


class TooManySockets(DomainError):
    """A user, an organization or a notifier has as many sockets as it may."""

    code = "realtime.too_many_sockets"
    kind = ErrorKind.RATE_LIMITED
    title = "There are too many connections; close one, or try again later"
