-- Grain: one order line without any fault.
(
    select
        *, null::varchar as fault, 0::bigint as copy, 1 as unit_factor
    from order_lines
)
