"""Telling people and programs of decisions and alerts, through apprise."""
