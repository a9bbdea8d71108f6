"""The subcommands of `pytest-federated`: one module each, whose `command` is a `click.Command`.

`pytest-federated --help` imports them all, so what is heavy is imported when a command runs.
"""
