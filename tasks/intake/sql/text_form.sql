-- One row: how many records break the form of the file, and the first lines that do.
select
    count(*) as records,
    count(*) filter (fields is null) as quote_count,
    min(row_number, 5) filter (fields is null) as quote_lines,
    count(*) filter (len(fields) <> $columns) as ragged_count,
    min(row_number, 5) filter (len(fields) <> $columns) as ragged_lines,
    arg_min(len(fields), row_number) filter (len(fields) <> $columns) as ragged_fields,
    count(*) filter (
        $check_cells and len(list_filter(fields, lambda field: length(field) > $maximum_cell)) > 0
    ) as large_count,
    min(row_number, 5) filter (
        $check_cells and len(list_filter(fields, lambda field: length(field) > $maximum_cell)) > 0
    ) as large_lines
from ({records}) as records
