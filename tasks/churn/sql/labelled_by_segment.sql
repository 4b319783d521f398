-- Grain: one customer at one cut-off with a known outcome; at the last one, $as_of, with the
-- segment that was known of them by then. A later one would know the outcome.
select
    labelled.*,
    segmented.known_segment
from lake.main.{table} as labelled
left join (
    select
        member.customer_id,
        arg_max(
            member.segment_name,
            struct_pack(moment := member.as_of, known := member.known_by, run := member.run_id)
        ) as known_segment
    from lake.main.customer_segments as member
    where member.as_of <= $as_of
    group by member.customer_id
) as segmented
    on segmented.customer_id = labelled.customer_id
    and labelled.as_of = $as_of
where labelled.churned is not null
