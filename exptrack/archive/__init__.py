"""The archive as users see it: `archive` holds every call, `shortcuts` the same on the default archive."""
