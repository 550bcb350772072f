"""Named, versioned bytes: chunks, blobs, folders, lineage.

Begin with `store`. `folders` reads files and folders, `chunks` cuts and compresses bytes, and `blobs` stores
each chunk once and checks it on every read. Only `restore` writes to the file system. `retention` removes
versions, and `lineage` records which artifacts a run used. `listing` reads artifacts and uses as records.
"""
