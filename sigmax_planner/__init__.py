"""Turns a question about a market into a research plan. Pure: no network, no clock, no Redis."""
