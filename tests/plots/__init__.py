"""Plots of real traffic for the documents, made by the very functions that judge traffic."""
