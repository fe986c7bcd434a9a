"""Figures of a cluster for Prometheus, and the alerts on them."""
