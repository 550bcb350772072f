-- Levels of long metrics.

-- What a series of many points holds in at most 1024 buckets of equal width, so that a chart reads some kilobytes
-- instead of every point. Made of the points when its run ended; gone as soon as the run goes on. A file is as true
-- without.
CREATE TABLE metric_level (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    axis TEXT NOT NULL CHECK (axis IN ('step', 'time')), -- what the buckets lie along: steps, or milliseconds
    width INTEGER NOT NULL,         -- of a bucket, a power of two; bucket n begins at n times it
    buckets INTEGER NOT NULL CHECK (buckets BETWEEN 1 AND 1024), -- that have points
    points INTEGER NOT NULL,        -- the checksum that the series had when its points were read for this
    codec TEXT NOT NULL CHECK (codec IN ('raw', 'shuffle8+zstd')), -- how data is packed
    data BLOB NOT NULL,             -- the columns of the buckets; see docs/format.md
    checksum INTEGER NOT NULL,      -- CRC-32 over axis, codec, width, buckets, points and data
    PRIMARY KEY (series, axis)
) STRICT, WITHOUT ROWID;
