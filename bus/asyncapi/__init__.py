"""The interface of commands and events as AsyncAPI 3.0."""
