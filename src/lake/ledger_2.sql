-- The name that the file was given by --new-identity, until all of it was sent under that name.
CREATE TABLE publish_renamed (
    store_id TEXT NOT NULL
) STRICT;
