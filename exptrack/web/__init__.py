"""The page: a local web server on one archive, and the files that the browser loads from it.

Begin with `server`: `PageServer` binds a port and serves one `Page`. `security` is what every request passes
first. `api` turns a request into a question; the files `api_*` answer it by the public API alone. `live` pushes
changes. `static/` holds plain modules and styles; `bundle` joins them as they are sent.

`export` writes the page as one file without a server. There the modules in `static/export/` answer instead,
over SQLite in the browser.

Invariants: a GET only reads, on an archive that was opened for reading. A POST opens the archive for writing
for as long as its change takes. Nothing reads the archive in the event loop: two threads do. A request whose
client has left stops.
"""
