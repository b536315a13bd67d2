-- Version 2. A range of a sorted series is found by its ends, however many blocks lie before it.
CREATE INDEX series_block_order ON series_block (series_id, greatest, first_row);
