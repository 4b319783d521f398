-- Grain: one order, the one with which a customer came.
insert into order_arrivals
select
    number, 0, part_key(key, 900000), joined_day, home_channel, favourite, quantity_scale, discount_share
from lives;
