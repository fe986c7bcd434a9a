"""Frozen messages in the order of the flow: observations, research, decision."""
