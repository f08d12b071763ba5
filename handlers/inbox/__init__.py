"""The inbox domain: what people are notified of, and what they have read of it.

Apart from the notifier, which shows events on sockets: that observes all events in batches
and keeps no transaction, while an inbox must have each thing once, whatever is delivered again,
and a number of unread ones that is right.
"""
