"""Checks of code bases: each yields observations with their place, severity and advice. Precision before completeness."""
