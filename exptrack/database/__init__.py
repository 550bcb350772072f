"""The SQLite file: connections, transactions, opening, migrations, and SELECTs that exptrack did not write.

Begin with `connection`: every other file goes through it, and only this subpackage imports ``sqlite3``.
`opening` decides whether a file is an archive, `migrations` applies ``schema/``, `guarded_sql` runs untrusted
SELECTs, `functions` adds SQL functions, and `failures` translates errors. `time_limit` stops readings, and
`upkeep` closes idle connections.
"""
