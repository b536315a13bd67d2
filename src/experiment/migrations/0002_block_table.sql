-- Version 2. Whether a table of records has blocks is asked with each statement of a user's SQL.
CREATE INDEX record_block_table ON record_block (record_table);
