"""What people run: ``./scripts/up``, ``./scripts/test`` and the ``grid8`` command line."""
