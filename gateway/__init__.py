"""The thin edge: one table of routes, and what turns a request into a command or a query."""
