"""Tables of reports.

A module that registers a function with `table.tables` adds a table to every scenario's section;
the others hold the tables of the summary, the verdicts and the settings.
"""
