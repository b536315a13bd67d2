CREATE TRIGGER numpy_array_insert INSTEAD OF INSERT ON numpy_array BEGIN
    INSERT INTO numpy_array_rows (id, dtype, shape, codec, checksum, data)
    VALUES (NEW.id, NEW.dtype, NEW.shape, NEW.codec, NEW.checksum, NEW.data);
END;
CREATE TRIGGER numpy_array_delete INSTEAD OF DELETE ON numpy_array BEGIN
    DELETE FROM numpy_array_rows WHERE id = OLD.id;
END;
