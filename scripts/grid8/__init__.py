"""The ``grid8`` command line; every command is a module, imported when it is called."""
