"""Neighbours: other pytest plugins and services."""
