"""Measurements on material that nobody here wrote. No part of the product imports them."""
