"""Attacks by name: how attackers differ from honest clients."""
