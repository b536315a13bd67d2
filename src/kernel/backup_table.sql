-- The backups of a file that knew them by path and time, in siltstone_backup_by_path, in their table of today.
INSERT INTO siltstone_backup (number, folder, name, created_ns, size_bytes)
SELECT row_number() OVER (ORDER BY created_ns, path), rtrim(folder, '/'), substr(path, length(folder) + 1),
    created_ns, size_bytes
FROM (SELECT *, rtrim(path, replace(path, '/', '')) AS folder FROM siltstone_backup_by_path);
DROP TABLE siltstone_backup_by_path;
