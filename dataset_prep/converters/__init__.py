"""Converters, one for each public data set, and one for tables of any form."""
