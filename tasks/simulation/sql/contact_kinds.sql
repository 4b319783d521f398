-- Grain: one kind of customer, with the share of draws that fall to it and what contacts do to it.
create or replace table contact_kinds as
with listed as (
    select
        unnest($kinds::varchar[]) as kind,
        unnest($kind_shares::decimal(12, 9)[]) as share,
        unnest($kind_hazard_ratios::double[]) as hazard_ratio,
        unnest($kind_open_shares::double[]) as open_share,
        unnest($kind_click_shares::double[]) as click_share,
        unnest($kind_response_shares::double[]) as response_share,
        unnest($kind_opt_out_shares::double[]) as opt_out_share,
        unnest(range(len($kinds::varchar[]))) as place
),

placed as (
    select *, sum(share) over (order by place) as draw_to from listed
)

select
    kind, hazard_ratio, open_share, click_share, response_share, opt_out_share,
    (draw_to - share)::double as draw_from,
    case when place = len($kinds::varchar[]) - 1 then 2.0 else draw_to::double end as draw_to
from placed;
