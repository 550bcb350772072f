"""The SQLite file: connections and transactions, opening, migrations, strangers' SELECTs.

Begin with `connection`: every other file goes through it, and only this subpackage imports ``sqlite3``.
`opening` decides whether a file is ours; `migrations` applies ``schema/``.
"""
