"""Named, versioned bytes: chunks, blobs, folders, aliases, lineage.

Begin with `store`; `registration` writes the row of each artifact, and `aliases` names versions. `folders`
reads files and folders, `chunks` cuts and compresses bytes, and `blobs` stores each chunk once and checks it on
every read. Only `restore` writes to the file system. `retention` removes versions, `deletion` removes whole
runs, and `lineage` records which artifacts a run used. `listing` reads artifacts and uses as records.
"""
