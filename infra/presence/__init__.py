"""What notifiers know of one another, in Redis: who is alive, whom they serve, and how many.

Whatever a notifier has written counts only while its sign of life does. So nothing has to be
taken back after a kill: what is left is cleared by another notifier, whenever that is. Each
script touches the keys of one slot, as Redis Cluster wants it.
"""
