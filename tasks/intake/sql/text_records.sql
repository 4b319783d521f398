-- One row a record of a text file: the line it starts on, its text, and its fields (NULL: quotes not in order).
select
    row_number,
    raw_line,
    case
        when not contains(raw_line, '"') then string_split(raw_line, $delimiter)
        when regexp_full_match(raw_line, $line_pattern) then list_transform(
            regexp_extract_all($delimiter || raw_line, $field_pattern, 1),
            lambda field: case
                when starts_with(field, '"')
                    then replace(substring(field, 2, length(field) - 2), '""', '"')
                else field
            end
        )
    end as fields
from read_parquet($lines_path)
