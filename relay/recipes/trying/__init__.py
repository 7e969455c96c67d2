"""Dry runs of recipes: `relay try`, and the tests that live in the recipes."""
