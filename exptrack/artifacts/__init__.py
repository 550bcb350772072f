"""Named, versioned bytes: chunks, blobs, folders, lineage.

Begin with `store`. Bytes are cut and compressed by `chunks`, stored once by `blobs`, checked against their hash
on every read, and written to the file system only by `restore`. `lineage` records what a run was made from.
"""
