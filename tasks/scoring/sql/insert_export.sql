-- Grain: one exported file, appended and never changed.
insert into lake.ledger.exports (export_id, kind, path, sha256, rows, exported_at)
values ($export_id, $kind, $path, $sha256, $rows, $exported_at)
